-- take_sample --
-- Write what all counts stand at, and what happened since the sample before; returns how long that took. Walks through streams and what was not confirmed, never through confirmations.
-- BETWEEN: the planner takes a time with two ends for short, and its index.
WITH cursor_sums AS MATERIALIZED (
    SELECT sum(s.head_seq) AS published,
           sum(s.head_seq - coalesce(c.settled_seq, 0)
               - coalesce((SELECT sum(upper(r) - lower(r))
                             FROM unnest(c.settled_beyond) AS r), 0)) AS open,
           sum(c.pruned_dead) AS dead, sum(c.pruned_expired) AS expired,
           sum(c.pruned_discarded) AS discarded, sum(c.pruned_redriven) AS redriven,
           -- What follows the floor is open, or the floor would be higher.
           min(CASE WHEN s.head_seq > coalesce(c.settled_seq, 0) THEN (
               SELECT e.accepted_at FROM events e
                WHERE e.user_id = s.user_id AND e.seq = coalesce(c.settled_seq, 0) + 1)
               END) AS oldest
      FROM streams s LEFT JOIN cursors c USING (user_id)
), kept AS MATERIALIZED (
    SELECT sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'dead') AS dead,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'expired') AS expired,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'discarded') AS discarded,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'redriven') AS redriven
      FROM settlements WHERE outcome <> 'confirmed'
), since AS MATERIALIZED (
    SELECT greatest(max(at), now() - $1 * interval '1 s') AS at FROM samples
), totals AS (
    SELECT coalesce(published, 0) AS published, coalesce(open, 0) AS open, oldest,
           coalesce(c.dead, 0) + coalesce(k.dead, 0) AS dead,
           coalesce(c.expired, 0) + coalesce(k.expired, 0) AS expired,
           coalesce(c.discarded, 0) + coalesce(k.discarded, 0) AS discarded,
           coalesce(c.redriven, 0) + coalesce(k.redriven, 0) AS redriven
      FROM cursor_sums c, kept k
), measured AS MATERIALIZED (
    -- The newest settlements of the time; each counts with the age of its oldest event.
    SELECT extract(epoch FROM t.at - e.accepted_at)::float8 AS seconds,
           t.to_seq - t.from_seq + 1 AS events
      FROM (SELECT user_id, from_seq, to_seq, at FROM settlements
             WHERE at BETWEEN (SELECT at FROM since) AND now() AND outcome = 'confirmed'
             ORDER BY at DESC LIMIT $2) AS t
      JOIN LATERAL (SELECT accepted_at FROM events
                     WHERE user_id = t.user_id AND seq = t.from_seq OFFSET 0) AS e ON true
), ranked AS (
    SELECT seconds, sum(events) OVER (ORDER BY seconds) AS upto,
           sum(events) OVER () AS events
      FROM measured
)
INSERT INTO samples (published, confirmed, dead, expired, discarded, redriven, open,
                     oldest_open_seconds, sessions, failed_attempts, p50, p99)
SELECT published, published - open - dead - expired - discarded - redriven, dead,
       expired, discarded, redriven, open,
       coalesce(extract(epoch FROM now() - oldest), 0),
       (SELECT count(*) FROM sessions s JOIN nodes n USING (node_id)
         WHERE n.seen_at > now() - $3 * interval '1 s'),
       (SELECT count(*) FROM attempts
         WHERE at BETWEEN (SELECT at FROM since) AND now()),
       (SELECT min(seconds) FROM ranked WHERE upto >= 0.5 * events),
       (SELECT min(seconds) FROM ranked WHERE upto >= 0.99 * events)
  FROM totals
    ON CONFLICT (at) DO NOTHING
RETURNING extract(epoch FROM clock_timestamp() - statement_timestamp())::float8 AS took;

-- forget_samples --
-- Delete samples older than so many seconds.
DELETE FROM samples WHERE at < now() - $1 * interval '1 s';

-- samples --
-- Return the samples of the last $1 seconds, oldest first, at most $2: of each stretch of time the last totals, the most of what goes up and down, the middle p50 and the worst p99.
WITH width AS (
    SELECT greatest(10, ceil($1::float8 / $2)) * interval '1 s' AS width
), binned AS (
    SELECT s.*, date_bin(w.width, s.at, 'epoch') AS bin
      FROM samples s, width w
     WHERE s.at >= date_bin(w.width, now(), 'epoch') - ($2 - 1) * w.width
       AND s.at > now() - $1 * interval '1 s'
)
SELECT extract(epoch FROM max(at))::float8 AS at,
       max(published) AS published, max(confirmed) AS confirmed,
       (array_agg(dead ORDER BY at DESC))[1] AS dead, max(expired) AS expired,
       max(discarded) AS discarded, max(redriven) AS redriven, max(open) AS open,
       max(oldest_open_seconds) AS oldest_open_seconds, max(sessions) AS sessions,
       sum(failed_attempts)::bigint AS failed_attempts,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY p50) AS p50, max(p99) AS p99
  FROM binned
 GROUP BY bin
 ORDER BY bin;
