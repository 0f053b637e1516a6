-- backlog --
-- Count what is open of the next $2 users after a user, by whether they are connected anywhere; beside the age of the oldest, and where the walk ended ('' when it went all round).
WITH ring AS MATERIALIZED (
    SELECT s.user_id, s.head_seq, coalesce(c.settled_seq, 0) AS settled_seq,
           c.settled_beyond
      FROM streams s LEFT JOIN cursors c USING (user_id)
     WHERE s.user_id > $1
     ORDER BY s.user_id
     LIMIT $2
), behind AS MATERIALIZED (
    SELECT head_seq - settled_seq
             - coalesce((SELECT sum(upper(r) - lower(r))
                           FROM unnest(settled_beyond) AS r), 0) AS open,
           EXISTS (SELECT FROM sessions n WHERE n.user_id = ring.user_id) AS connected,
           -- What follows the floor is open, or the floor would be higher.
           (SELECT e.accepted_at FROM events e
             WHERE e.user_id = ring.user_id AND e.seq = settled_seq + 1) AS oldest
      FROM ring
     WHERE head_seq > settled_seq
)
SELECT CASE WHEN (SELECT count(*) FROM ring) = $2 THEN (SELECT max(user_id) FROM ring)
            ELSE ''
       END AS at_user,
       coalesce(sum(open) FILTER (WHERE connected), 0)::bigint AS connected,
       coalesce(sum(open) FILTER (WHERE NOT connected), 0)::bigint AS parked,
       coalesce(extract(epoch FROM now() - min(oldest)), 0)::float8 AS oldest_seconds
  FROM behind;
