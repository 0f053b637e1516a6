-- open_stream --
-- Make sure that a user has a stream and a cursor.
WITH stream AS (
    INSERT INTO streams (user_id, epoch, head_seq)
    VALUES ($1, gen_random_uuid()::text, 0) ON CONFLICT DO NOTHING
)
INSERT INTO cursors (user_id) VALUES ($1) ON CONFLICT DO NOTHING;

-- open_cursors --
-- Make sure that these users, given in order, have cursors.
INSERT INTO cursors (user_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING;

-- stream --
-- Return where a user's stream stands.
SELECT s.epoch, s.head_seq, c.settled_seq, c.pruned_seq,
       extract(epoch FROM clock_timestamp())::float8 AS at
  FROM streams s JOIN cursors c USING (user_id)
 WHERE s.user_id = $1;

-- find_stream --
-- Return where a user's stream stands, also before anybody opened it; no row if there is none.
SELECT s.epoch, s.head_seq, coalesce(c.settled_seq, 0) AS settled_seq,
       coalesce(c.pruned_seq, 0) AS pruned_seq,
       extract(epoch FROM clock_timestamp())::float8 AS at
  FROM streams s LEFT JOIN cursors c USING (user_id)
 WHERE s.user_id = $1;

-- change_epoch --
-- Give a stream a new epoch, unless somebody did so already.
UPDATE streams SET epoch = gen_random_uuid()::text WHERE user_id = $1 AND epoch = $2;

-- heads --
-- Return the newest seq of each of these users.
SELECT user_id, head_seq FROM streams WHERE user_id = ANY ($1::text[]);
