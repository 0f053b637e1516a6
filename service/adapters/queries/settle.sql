-- settle --
-- Record outcomes for what is still open in the given ranges (disjoint per user); a second ack, or one from a stale node, changes nothing. $1: the users in order; $2…: one element per range.
WITH locked AS MATERIALIZED (
    SELECT c.user_id, c.settled_seq, c.settled_beyond, s.head_seq
      FROM cursors c JOIN streams s USING (user_id)
     WHERE c.user_id = ANY ($1::text[])
     ORDER BY c.user_id
       FOR UPDATE OF c
), asked AS (
    SELECT a.user_id, a.outcome, a.device_id, a.sent_at, l.settled_beyond,
           greatest(a.from_seq, l.settled_seq + 1) AS lower,
           least(a.to_seq, l.head_seq) AS upper
      FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
                  $7::timestamptz[])
        AS a (user_id, from_seq, to_seq, outcome, device_id, sent_at)
      JOIN locked l USING (user_id)
), fresh AS MATERIALIZED (
    SELECT user_id, outcome, device_id, sent_at,
           lower(piece) AS from_seq, upper(piece) - 1 AS to_seq
      FROM asked,
           unnest(int8multirange(int8range(lower, upper, '[]')) - settled_beyond)
             AS piece
     WHERE asked.lower <= asked.upper
), merged AS (
    SELECT l.user_id, l.settled_seq,
           l.settled_beyond + range_agg(int8range(f.from_seq, f.to_seq, '[]')) AS beyond
      FROM locked l JOIN fresh f USING (user_id)
     GROUP BY l.user_id, l.settled_seq, l.settled_beyond
), floors AS (
    SELECT m.user_id, m.beyond,
           CASE WHEN lower(m.beyond) = m.settled_seq + 1
                THEN (SELECT upper(r) - 1 FROM unnest(m.beyond) AS r ORDER BY r LIMIT 1)
                ELSE m.settled_seq
           END AS floor
      FROM merged m
), moved AS (
    UPDATE cursors c
       SET settled_seq = f.floor,
           settled_beyond = f.beyond - int8multirange(int8range(NULL, f.floor, '[]'))
      FROM floors f
     WHERE c.user_id = f.user_id
), recorded AS (
    INSERT INTO settlements (user_id, from_seq, to_seq, outcome, device_id, sent_at)
    SELECT user_id, from_seq, to_seq, outcome, device_id, sent_at FROM fresh
)
SELECT f.user_id, f.from_seq, f.to_seq, f.outcome, f.device_id,
       (SELECT extract(epoch FROM now() - e.accepted_at)::float8
          FROM events e
         WHERE e.user_id = f.user_id AND e.seq = f.from_seq) AS latency_seconds,
       (SELECT e.type FROM events e
         WHERE e.user_id = f.user_id AND e.seq = f.from_seq) AS oldest_type
  FROM fresh f;

-- record_failure --
-- Record a failed attempt if it is the next one and not before its turn; $6: seconds since the last failure below which it does not count, by number of failures. Returns what is on record.
WITH prior AS MATERIALIZED (
    SELECT count(*)::int AS failures, max(a.at) AS last_at FROM attempts a
     WHERE a.user_id = $1 AND a.seq = $2
), known AS (
    -- Ranges are disjoint: only the last that begins before a seq can hold it. Asking
    -- for one that does would walk all of them when the seq is open.
    SELECT near.outcome
      FROM (SELECT t.outcome, t.to_seq FROM settlements t
             WHERE t.user_id = $1 AND t.from_seq <= $2
             ORDER BY t.from_seq DESC LIMIT 1) AS near
     WHERE near.to_seq >= $2
), recorded AS (
    INSERT INTO attempts (user_id, seq, attempt, reason, device_id)
    SELECT $1, $2, $3::int, $4, $5 FROM prior
     WHERE $3::int = failures + 1
       AND NOT EXISTS (SELECT FROM known)
       AND EXISTS (SELECT FROM events e WHERE e.user_id = $1 AND e.seq = $2)
       AND (failures = 0 OR now() >= last_at
            + coalesce(($6::float8[])[failures], 0) * interval '1 s')
    -- Of two who report it at once, the second waits here and learns of the first.
    ON CONFLICT (user_id, seq, attempt) DO UPDATE SET attempt = excluded.attempt
    RETURNING xmax = 0 AS mine
)
SELECT prior.failures + (SELECT count(*)::int FROM recorded) AS failures,
       coalesce((SELECT mine FROM recorded), false) AS counted,
       coalesce(extract(epoch FROM now() - prior.last_at), 0)::float8 AS since_last,
       (SELECT outcome FROM known) AS outcome
  FROM prior;
