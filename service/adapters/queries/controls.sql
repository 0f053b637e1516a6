-- add_control --
-- Keep what somebody asks of all nodes.
INSERT INTO controls (kind, subject, run_id, asked_by, until, within_seconds)
VALUES ($1, $2, $3, $4, now() + $5 * interval '1 s', $6)
RETURNING control_id, kind, subject, run_id, asked_by,
          extract(epoch FROM at)::float8 AS at,
          extract(epoch FROM until)::float8 AS until, within_seconds;

-- live_controls --
-- Return what holds now, of cancels only the recent ones.
SELECT control_id, kind, subject, run_id, asked_by,
       extract(epoch FROM at)::float8 AS at, extract(epoch FROM until)::float8 AS until,
       within_seconds
  FROM controls
 WHERE kind IN ('drain', 'revoke') AND until > now()
UNION ALL
SELECT control_id, kind, subject, run_id, asked_by,
       extract(epoch FROM at)::float8 AS at, extract(epoch FROM until)::float8 AS until,
       within_seconds
  FROM controls
 WHERE kind = 'cancel' AND at > now() - $1 * interval '1 s' AND until > now()
 ORDER BY control_id;

-- find_cancel --
-- Return the newest request to end a run, if one holds.
SELECT control_id, kind, subject, run_id, asked_by,
       extract(epoch FROM at)::float8 AS at, extract(epoch FROM until)::float8 AS until,
       within_seconds
  FROM controls
 WHERE kind = 'cancel' AND subject = $1 AND run_id = $2 AND until > now()
 ORDER BY control_id DESC LIMIT 1;
