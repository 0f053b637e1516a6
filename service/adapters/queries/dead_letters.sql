-- letters --
-- Return dead letters that are older than a place, newest first, with the reason of each failed attempt. $1…$6: the filter; $7: their state; $8…$10: the place; $11: with data.
SELECT d.event_id, d.user_id, d.seq, d.reason, d.attempts, e.type, e.run_id, e.redrive,
       extract(epoch FROM d.at)::float8 AS at,
       extract(epoch FROM d.redriven_at)::float8 AS redriven_at,
       extract(epoch FROM d.discarded_at)::float8 AS discarded_at,
       ARRAY(SELECT a.reason FROM attempts a
              WHERE a.user_id = d.user_id AND a.seq = d.seq ORDER BY a.attempt) AS reasons,
       CASE WHEN $11::bool THEN e.data END AS data
  FROM dead_letters d
  LEFT JOIN events e ON e.user_id = d.user_id AND e.seq = d.seq
 WHERE ($1::text IS NULL OR d.user_id = $1)
   AND ($2::text IS NULL OR e.type = $2)
   AND ($3::text IS NULL OR e.run_id = $3)
   AND ($4::text IS NULL OR d.reason = $4)
   AND ($5::float8 IS NULL OR d.at < to_timestamp($5))
   AND ($6::float8 IS NULL OR d.at >= to_timestamp($6))
   AND ($7::text IS NULL OR $7 = CASE WHEN d.redriven_at IS NOT NULL THEN 'redriven'
                                      WHEN d.discarded_at IS NOT NULL THEN 'discarded'
                                      ELSE 'open' END)
   AND ($8::float8 IS NULL
        OR (d.at, d.event_id, d.user_id) < (to_timestamp($8), $9::text, $10::text))
 ORDER BY d.at DESC, d.event_id DESC, d.user_id DESC
 LIMIT $12;

-- choose_letters --
-- Return the oldest open letters of a filter, and with each how many there are; only those whose event is still there, unless they are to be discarded.
SELECT d.event_id, d.user_id, count(*) OVER () AS total
  FROM dead_letters d
  LEFT JOIN events e ON e.user_id = d.user_id AND e.seq = d.seq
                    AND e.redriven_to IS NULL
 WHERE d.redriven_at IS NULL AND d.discarded_at IS NULL
   AND ($1::text IS NULL OR d.user_id = $1)
   AND ($2::text IS NULL OR e.type = $2)
   AND ($3::text IS NULL OR e.run_id = $3)
   AND ($4::text IS NULL OR d.reason = $4)
   AND ($5::float8 IS NULL OR d.at < to_timestamp($5))
   AND ($6::float8 IS NULL OR d.at >= to_timestamp($6))
   AND (e.seq IS NOT NULL OR $7::text = 'discarded')
 ORDER BY d.at, d.user_id, d.seq
 LIMIT $8;

-- lock_streams --
-- Lock the streams of these users, in order, so that nobody publishes to them meanwhile.
SELECT user_id FROM streams WHERE user_id = ANY ($1::text[]) ORDER BY user_id FOR UPDATE;

-- lock_cursors --
-- Lock the cursors of these users, in order, so that nobody settles for them meanwhile.
SELECT user_id FROM cursors WHERE user_id = ANY ($1::text[]) ORDER BY user_id FOR UPDATE;

-- letters_of --
-- Return what became of the letters of these ids and users, and whether the event is kept.
SELECT asked.event_id, asked.user_id, d.seq, d.redriven_at IS NOT NULL AS redriven,
       d.discarded_at IS NOT NULL AS discarded, e.seq IS NOT NULL AS kept
  FROM unnest($1::text[], $2::text[]) AS asked (event_id, user_id)
  LEFT JOIN dead_letters d
         ON d.event_id = asked.event_id AND d.user_id = asked.user_id
  LEFT JOIN events e ON e.user_id = d.user_id AND e.seq = d.seq
                    AND e.redriven_to IS NULL;

-- move_to_head --
-- Number the events of these users and seqs anew at the heads, in order, and note the new seq in the old row.
WITH asked AS (
    SELECT a.user_id, a.seq,
           row_number() OVER (PARTITION BY a.user_id ORDER BY a.seq) AS nth,
           count(*) OVER (PARTITION BY a.user_id) AS n
      FROM unnest($1::text[], $2::bigint[]) AS a (user_id, seq)
), heads AS (
    UPDATE streams s SET head_seq = s.head_seq + moved.n
      FROM (SELECT DISTINCT user_id, n FROM asked) AS moved
     WHERE s.user_id = moved.user_id
    RETURNING s.user_id, s.head_seq - moved.n AS before
)
UPDATE events e SET redriven_to = h.before + a.nth
  FROM asked a JOIN heads h USING (user_id)
 WHERE e.user_id = a.user_id AND e.seq = a.seq;

-- copy_to_head --
-- Store the events of these users and old seqs under their new seqs, with a life as long as the first.
INSERT INTO events (user_id, seq, event_id, type, priority, run_id, thread_id, data,
                    trace, redrive, accepted_at, expires_at)
SELECT e.user_id, e.redriven_to, e.event_id, e.type, e.priority, e.run_id, e.thread_id,
       e.data, e.trace, e.redrive + 1, now(), now() + (e.expires_at - e.accepted_at)
  FROM unnest($1::text[], $2::bigint[]) AS a (user_id, seq)
  JOIN events e ON e.user_id = a.user_id AND e.seq = a.seq
 ORDER BY e.user_id, e.redriven_to
RETURNING events.*, extract(epoch FROM accepted_at)::float8 AS accepted,
          extract(epoch FROM expires_at)::float8 AS expires;

-- resettle --
-- Change what settled these dead seqs: the only update of an outcome. Returns those that were not pruned.
UPDATE settlements t SET outcome = $3
  FROM unnest($1::text[], $2::bigint[]) AS a (user_id, seq)
 WHERE t.user_id = a.user_id AND t.from_seq = a.seq AND t.to_seq = a.seq
   AND t.outcome = 'dead'
RETURNING t.user_id, t.from_seq;

-- recount_pruned --
-- Count pruned dead seqs of these users under another outcome. Returns how many, by user.
UPDATE cursors c
   SET pruned_dead = c.pruned_dead - moved.n,
       pruned_redriven = c.pruned_redriven
                         + CASE WHEN $3::text = 'redriven' THEN moved.n ELSE 0 END,
       pruned_discarded = c.pruned_discarded
                          + CASE WHEN $3::text = 'discarded' THEN moved.n ELSE 0 END
  FROM (SELECT k.user_id, count(*) AS n
          FROM unnest($1::text[], $2::bigint[]) AS a (user_id, seq)
          JOIN cursors k ON k.user_id = a.user_id AND a.seq <= k.pruned_seq
         GROUP BY k.user_id) AS moved
 WHERE c.user_id = moved.user_id
RETURNING moved.n;

-- close_letters --
-- Note that letters were redriven or discarded.
UPDATE dead_letters d
   SET redriven_at = CASE WHEN $3::text = 'redriven' THEN now() END,
       discarded_at = CASE WHEN $3::text = 'discarded' THEN now() END
  FROM unnest($1::text[], $2::text[]) AS a (event_id, user_id)
 WHERE d.event_id = a.event_id AND d.user_id = a.user_id;

-- bury --
-- Keep a dead letter for people; one that was redriven and died again is open anew.
WITH buried AS (
    INSERT INTO dead_letters (event_id, user_id, seq, reason, attempts)
    SELECT e.event_id, e.user_id, e.seq, $3,
           (SELECT count(*) FROM attempts a WHERE a.user_id = $1 AND a.seq = $2)
      FROM events e
     WHERE e.user_id = $1 AND e.seq = $2
    ON CONFLICT (event_id, user_id)
    DO UPDATE SET seq = excluded.seq, reason = excluded.reason,
                  attempts = excluded.attempts, at = now(), redriven_at = NULL,
                  discarded_at = NULL
    RETURNING *
)
SELECT b.event_id, b.user_id, b.seq, b.reason, b.attempts,
       extract(epoch FROM b.at)::float8 AS at, e.type, e.run_id, e.redrive
  FROM buried b JOIN events e USING (user_id, seq);

-- earlier_rows --
-- Return the rows that an event had before it was redriven, oldest first, with what settled each.
SELECT e.seq, e.redrive, extract(epoch FROM e.accepted_at)::float8 AS accepted_at,
       near.outcome, extract(epoch FROM near.at)::float8 AS settled_at
  FROM events e
  LEFT JOIN LATERAL (
      SELECT t.outcome, t.at, t.to_seq FROM settlements t
       WHERE t.user_id = e.user_id AND t.from_seq <= e.seq
       ORDER BY t.from_seq DESC LIMIT 1
  ) near ON near.to_seq >= e.seq
 WHERE e.event_id = $1 AND e.user_id = $2 AND e.redriven_to IS NOT NULL
 ORDER BY e.seq;
