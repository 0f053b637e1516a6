-- page --
-- Return the log of a user after a seq, at most $3 events and $4 bytes (the first always fits), with what became of each. One row without event when there is none.
WITH sized AS (
    SELECT e.seq, sum(octet_length(e.data)) OVER (ORDER BY e.seq) AS bytes,
           row_number() OVER (ORDER BY e.seq) AS nth
      FROM events e
     WHERE e.user_id = $1
           -- What is kept below is for people; a reader there gets one gap up to it.
       AND e.seq > greatest($2, (SELECT pruned_seq FROM cursors WHERE user_id = $1))
     ORDER BY e.seq
     LIMIT $3
)
SELECT s.head_seq, e.*, extract(epoch FROM e.accepted_at)::float8 AS accepted,
       extract(epoch FROM e.expires_at)::float8 AS expires,
       known.outcome, coalesce(tries.failures, 0) AS failures,
       e.expires_at <= now() AND known.outcome IS NULL AS overdue
  FROM streams s
  LEFT JOIN cursors c USING (user_id)
  LEFT JOIN sized ON sized.nth = 1 OR sized.bytes <= $4
  -- LIMIT: or else the planner hashes the whole log where few users have long streams.
  LEFT JOIN LATERAL (
      SELECT * FROM events WHERE user_id = s.user_id AND seq = sized.seq LIMIT 1
  ) e ON true
  LEFT JOIN LATERAL (
      SELECT t.outcome FROM settlements t
       WHERE t.user_id = e.user_id AND t.from_seq <= e.seq
         AND (e.seq <= c.settled_seq OR c.settled_beyond @> e.seq)
       ORDER BY t.from_seq DESC LIMIT 1
  ) known ON true
  LEFT JOIN LATERAL (
      SELECT max(a.attempt) AS failures FROM attempts a
       WHERE a.user_id = e.user_id AND a.seq = e.seq
  ) tries ON true
 WHERE s.user_id = $1
 ORDER BY e.seq;

-- history --
-- Return the oldest events of a user after a seq, with what became of each; for people.
SELECT e.*, extract(epoch FROM e.accepted_at)::float8 AS accepted,
       extract(epoch FROM e.expires_at)::float8 AS expires, known.outcome,
       extract(epoch FROM known.at)::float8 AS settled_at
  FROM events e
  LEFT JOIN LATERAL (
      SELECT t.outcome, t.at, t.to_seq FROM settlements t
       WHERE t.user_id = e.user_id AND t.from_seq <= e.seq
       ORDER BY t.from_seq DESC LIMIT 1
  ) known ON known.to_seq >= e.seq
 WHERE e.user_id = $1
   AND e.seq > greatest($2, CASE WHEN $4::bool THEN (
           SELECT settled_seq FROM cursors WHERE user_id = $1) END)
   AND (NOT $4::bool OR known.outcome IS NULL)
 ORDER BY e.seq
 LIMIT $3;

-- pages --
-- Answer many requests for a page at once: each row as page has it, with the number of its request.
SELECT asked.nth::int AS nth, s.head_seq, e.*,
       extract(epoch FROM e.accepted_at)::float8 AS accepted,
       extract(epoch FROM e.expires_at)::float8 AS expires,
       known.outcome, coalesce(tries.failures, 0) AS failures,
       e.expires_at <= now() AND known.outcome IS NULL AS overdue
  FROM unnest($1::text[], $2::bigint[], $3::int[], $4::bigint[]) WITH ORDINALITY
       AS asked (user_id, after, max_events, max_bytes, nth)
  -- LIMIT: so few rows are found by their keys, whatever the planner thinks.
  JOIN LATERAL (
      SELECT head_seq FROM streams WHERE user_id = asked.user_id LIMIT 1
  ) s ON true
  LEFT JOIN LATERAL (
      SELECT * FROM cursors WHERE user_id = asked.user_id LIMIT 1
  ) c ON true
  LEFT JOIN LATERAL (
      SELECT e.seq, sum(octet_length(e.data)) OVER (ORDER BY e.seq) AS bytes,
             row_number() OVER (ORDER BY e.seq) AS nth
        FROM events e
       WHERE e.user_id = asked.user_id
         AND e.seq > greatest(asked.after, c.pruned_seq)
       ORDER BY e.seq
       LIMIT asked.max_events
  ) sized ON sized.nth = 1 OR sized.bytes <= asked.max_bytes
  LEFT JOIN LATERAL (
      SELECT * FROM events WHERE user_id = asked.user_id AND seq = sized.seq LIMIT 1
  ) e ON true
  LEFT JOIN LATERAL (
      SELECT t.outcome FROM settlements t
       WHERE t.user_id = e.user_id AND t.from_seq <= e.seq
         AND (e.seq <= c.settled_seq OR c.settled_beyond @> e.seq)
       ORDER BY t.from_seq DESC LIMIT 1
  ) known ON true
  LEFT JOIN LATERAL (
      SELECT max(a.attempt) AS failures FROM attempts a
       WHERE a.user_id = e.user_id AND a.seq = e.seq
  ) tries ON true
 ORDER BY asked.nth, e.seq;
