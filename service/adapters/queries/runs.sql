-- run_events --
-- Return the events of one user's run after a seq, in order.
SELECT e.*, extract(epoch FROM e.accepted_at)::float8 AS accepted,
       extract(epoch FROM e.expires_at)::float8 AS expires
  FROM events e
 WHERE e.run_id = $2 AND e.user_id = $1 AND e.seq > $3
 ORDER BY e.seq
 LIMIT $4;
