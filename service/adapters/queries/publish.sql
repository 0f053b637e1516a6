-- publish --
-- Number and store events none of which was seen before, in one round trip. $1, $2: users in order and how many events each; $3…: the events, `back` counting down to the user's last.
WITH heads AS (
    INSERT INTO streams AS s (user_id, epoch, head_seq)
    SELECT user_id, gen_random_uuid()::text, n
      FROM unnest($1::text[], $2::bigint[]) AS new (user_id, n)
    ON CONFLICT (user_id) DO UPDATE SET head_seq = s.head_seq + excluded.head_seq
    RETURNING user_id, epoch, head_seq
), stored AS (
    INSERT INTO events (user_id, seq, event_id, type, priority, run_id, thread_id,
                        data, trace, accepted_at, expires_at)
    SELECT e.user_id, h.head_seq - e.back, e.event_id, e.type, e.priority, e.run_id,
           e.thread_id, e.data, e.trace, now(), now() + e.expires_in * interval '1 s'
      FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                  $8::text[], $9::text[], $10::bytea[], $11::text[], $12::float8[])
        AS e (user_id, back, event_id, type, priority, run_id, thread_id, data, trace,
              expires_in)
      JOIN heads h USING (user_id)
)
SELECT user_id, epoch, head_seq, extract(epoch FROM now())::float8 AS at FROM heads;

-- lock_heads --
-- Lock the streams of these users, given in order, so that nobody publishes to them meanwhile.
INSERT INTO streams AS s (user_id, epoch, head_seq)
SELECT user_id, gen_random_uuid()::text, 0 FROM unnest($1::text[]) AS new (user_id)
ON CONFLICT (user_id) DO UPDATE SET head_seq = s.head_seq
RETURNING user_id, epoch;

-- known_events --
-- Return the events that were accepted before, among pairs of id and user.
SELECT e.event_id, e.user_id, e.seq, e.type, e.priority, e.run_id, e.thread_id, e.data,
       extract(epoch FROM e.accepted_at)::float8 AS accepted_at
  FROM unnest($1::text[], $2::text[]) AS asked (event_id, user_id)
  JOIN events e ON e.event_id = asked.event_id AND e.user_id = asked.user_id
               AND e.redriven_to IS NULL;
