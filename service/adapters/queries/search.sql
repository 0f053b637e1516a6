-- search_events --
-- Return the events whose id begins so, in order; the exact id comes first.
SELECT e.event_id, e.user_id, e.seq, e.type, e.run_id,
       extract(epoch FROM e.accepted_at)::float8 AS accepted_at
  FROM events e
 WHERE e.event_id >= $1 AND e.event_id < $1 || chr(1114111) AND e.redriven_to IS NULL
 ORDER BY e.event_id, e.user_id
 LIMIT $2;

-- search_runs --
-- Return the runs whose id begins so, in order, with the time of the first event; by jumps from run to run in the index.
WITH RECURSIVE found AS (
    (SELECT run_id, user_id, seq, 1 AS nth FROM events
      WHERE run_id >= $1 AND run_id < $1 || chr(1114111)
      ORDER BY run_id, user_id, seq LIMIT 1)
    UNION ALL
    SELECT following.*, found.nth + 1
      FROM found
     CROSS JOIN LATERAL (
           SELECT run_id, user_id, seq FROM events
            WHERE run_id >= found.run_id AND run_id < $1 || chr(1114111)
              AND (run_id, user_id) > (found.run_id, found.user_id)
            ORDER BY run_id, user_id, seq LIMIT 1) AS following
     WHERE found.nth < $2
)
SELECT f.run_id, f.user_id, extract(epoch FROM e.accepted_at)::float8 AS began_at
  FROM found f JOIN events e ON e.user_id = f.user_id AND e.seq = f.seq
 ORDER BY f.nth;

-- search_users --
-- Return the users whose name begins so, in order, with what is open of theirs.
SELECT s.user_id, s.head_seq,
       (s.head_seq - coalesce(c.settled_seq, 0)
         - coalesce((SELECT sum(upper(r) - lower(r)) FROM unnest(c.settled_beyond) AS r), 0)
       )::bigint AS open
  FROM streams s LEFT JOIN cursors c USING (user_id)
 WHERE s.user_id >= $1 AND s.user_id < $1 || chr(1114111)
 ORDER BY s.user_id
 LIMIT $2;

-- run_history --
-- Return the events of one user's run after a seq, in order, with what became of each; for people.
SELECT e.*, extract(epoch FROM e.accepted_at)::float8 AS accepted,
       extract(epoch FROM e.expires_at)::float8 AS expires, known.outcome,
       extract(epoch FROM known.at)::float8 AS settled_at
  FROM (SELECT * FROM events
         WHERE run_id = $2 AND user_id = $1 AND seq > $3
         ORDER BY seq LIMIT $4) AS e
  LEFT JOIN LATERAL (
      SELECT t.outcome, t.at, t.to_seq FROM settlements t
       WHERE t.user_id = e.user_id AND t.from_seq <= e.seq
       ORDER BY t.from_seq DESC LIMIT 1
  ) known ON known.to_seq >= e.seq
 ORDER BY e.seq;
