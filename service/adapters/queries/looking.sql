-- event_by_id --
-- Return the events with an id (one per user who was sent it); of one user if $2 is given.
SELECT e.*, extract(epoch FROM e.accepted_at)::float8 AS accepted,
       extract(epoch FROM e.expires_at)::float8 AS expires
  FROM events e
 WHERE e.event_id = $1 AND e.redriven_to IS NULL AND ($2::text IS NULL OR e.user_id = $2)
 ORDER BY e.user_id;

-- settlement_of --
-- Return what settled a seq.
SELECT near.outcome, near.device_id,
       extract(epoch FROM near.sent_at)::float8 AS sent_at,
       extract(epoch FROM near.at)::float8 AS at
  FROM (SELECT * FROM settlements t
         WHERE t.user_id = $1 AND t.from_seq <= $2
         ORDER BY t.from_seq DESC LIMIT 1) AS near
 WHERE near.to_seq >= $2;

-- outcomes --
-- Return the outcome of each of these seqs that is settled.
SELECT asked.user_id, asked.seq, near.outcome
  FROM unnest($1::text[], $2::bigint[]) AS asked (user_id, seq)
  JOIN LATERAL (
      SELECT t.outcome, t.to_seq FROM settlements t
       WHERE t.user_id = asked.user_id AND t.from_seq <= asked.seq
       ORDER BY t.from_seq DESC LIMIT 1
  ) near ON near.to_seq >= asked.seq;

-- attempts_of --
-- Return the failed attempts of an event.
SELECT attempt, reason, device_id, extract(epoch FROM at)::float8 AS at
  FROM attempts WHERE user_id = $1 AND seq = $2 ORDER BY attempt;

-- counts --
-- Count events by outcome, twice over: by settlements (and what the pruned ones said), and open ones by cursors.
WITH settled AS (
    SELECT sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'confirmed') AS confirmed,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'dead') AS dead,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'expired') AS expired,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'discarded') AS discarded,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'redriven') AS redriven
      FROM settlements
), pruned AS (
    SELECT sum(pruned_confirmed) AS confirmed, sum(pruned_dead) AS dead,
           sum(pruned_expired) AS expired, sum(pruned_discarded) AS discarded,
           sum(pruned_redriven) AS redriven
      FROM cursors
), heads AS (
    SELECT sum(s.head_seq) AS published,
           sum(s.head_seq - coalesce(c.settled_seq, 0)
               - coalesce((SELECT sum(upper(r) - lower(r))
                             FROM unnest(c.settled_beyond) AS r), 0)) AS open
      FROM streams s LEFT JOIN cursors c USING (user_id)
)
SELECT coalesce(heads.published, 0)::bigint AS published,
       (coalesce(settled.confirmed, 0) + coalesce(pruned.confirmed, 0))::bigint AS confirmed,
       (coalesce(settled.dead, 0) + coalesce(pruned.dead, 0))::bigint AS dead,
       (coalesce(settled.expired, 0) + coalesce(pruned.expired, 0))::bigint AS expired,
       (coalesce(settled.discarded, 0) + coalesce(pruned.discarded, 0))::bigint AS discarded,
       (coalesce(settled.redriven, 0) + coalesce(pruned.redriven, 0))::bigint AS redriven,
       coalesce(heads.open, 0)::bigint AS open,
       (SELECT count(*) FROM attempts) AS failed_attempts
  FROM settled, pruned, heads;

-- streams --
-- Return the busiest streams for the console: those with open events first, then by head.
SELECT s.user_id, s.head_seq, coalesce(c.settled_seq, 0) AS settled_seq,
       (s.head_seq - coalesce(c.settled_seq, 0)
         - coalesce((SELECT sum(upper(r) - lower(r)) FROM unnest(c.settled_beyond) AS r), 0)
       )::bigint AS open,
       extract(epoch FROM now() - (
           SELECT e.accepted_at FROM events e
            WHERE e.user_id = s.user_id AND e.seq > coalesce(c.settled_seq, 0)
            ORDER BY e.seq LIMIT 1))::float8 AS oldest_open_seconds
  FROM streams s LEFT JOIN cursors c USING (user_id)
 ORDER BY open DESC, s.head_seq DESC
 LIMIT $1;

-- latencies --
-- Return percentiles of the confirmation latency over the newest settlements, weighted by events.
SELECT count(*)::bigint AS events,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds)
         AS percentiles
  FROM (SELECT extract(epoch FROM t.at - e.accepted_at)::float8 AS seconds
          FROM (SELECT * FROM settlements
                 WHERE outcome = 'confirmed' AND at > now() - $2 * interval '1 s'
                 ORDER BY at DESC LIMIT $1) t
          JOIN events e ON e.user_id = t.user_id
                       AND e.seq BETWEEN t.from_seq AND t.to_seq) AS recent;
