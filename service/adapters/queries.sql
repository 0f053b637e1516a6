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
  JOIN events e ON e.event_id = asked.event_id AND e.user_id = asked.user_id;

-- open_stream --
-- Make sure that a user has a stream and a cursor.
WITH stream AS (
    INSERT INTO streams (user_id, epoch, head_seq)
    VALUES ($1, gen_random_uuid()::text, 0) ON CONFLICT DO NOTHING
)
INSERT INTO cursors (user_id) VALUES ($1) ON CONFLICT DO NOTHING;

-- open_cursors --
-- Make sure that these users, given in order, have cursors.
INSERT INTO cursors (user_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING;

-- stream --
-- Return where a user's stream stands.
SELECT s.epoch, s.head_seq, c.settled_seq, c.pruned_seq
  FROM streams s JOIN cursors c USING (user_id)
 WHERE s.user_id = $1;

-- change_epoch --
-- Give a stream a new epoch, unless somebody did so already.
UPDATE streams SET epoch = gen_random_uuid()::text WHERE user_id = $1 AND epoch = $2;

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
         WHERE e.user_id = f.user_id AND e.seq = f.from_seq) AS latency_seconds
  FROM fresh f;

-- page --
-- Return the log of a user after a seq, at most $3 events and $4 bytes (the first always fits), with what became of each. One row without event when there is none.
WITH sized AS (
    SELECT e.seq, sum(octet_length(e.data)) OVER (ORDER BY e.seq) AS bytes,
           row_number() OVER (ORDER BY e.seq) AS nth
      FROM events e
     WHERE e.user_id = $1 AND e.seq > $2
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
  LEFT JOIN events e ON e.user_id = s.user_id AND e.seq = sized.seq
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

-- heads --
-- Return the newest seq of each of these users.
SELECT user_id, head_seq FROM streams WHERE user_id = ANY ($1::text[]);

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

-- bury --
-- Keep a dead letter for people.
INSERT INTO dead_letters (event_id, user_id, seq, reason, attempts)
SELECT e.event_id, e.user_id, e.seq, $3,
       (SELECT count(*) FROM attempts a WHERE a.user_id = $1 AND a.seq = $2)
  FROM events e
 WHERE e.user_id = $1 AND e.seq = $2
ON CONFLICT (event_id, user_id)
DO UPDATE SET seq = excluded.seq, reason = excluded.reason,
              attempts = excluded.attempts, at = now(), redriven_at = NULL;

-- dead_letters --
-- Return the newest dead letters, with the reason of each failed attempt; of one user if $1 is given.
SELECT d.event_id, d.user_id, d.seq, d.reason, d.attempts,
       extract(epoch FROM d.at)::float8 AS at, e.type, e.run_id,
       ARRAY(SELECT a.reason FROM attempts a
              WHERE a.user_id = d.user_id AND a.seq = d.seq ORDER BY a.attempt) AS reasons
  FROM dead_letters d
  LEFT JOIN events e ON e.user_id = d.user_id AND e.seq = d.seq
 WHERE $1::text IS NULL OR d.user_id = $1
 ORDER BY d.at DESC
 LIMIT $2;

-- event_by_id --
-- Return the events with an id (one per user who was sent it); of one user if $2 is given.
SELECT e.*, extract(epoch FROM e.accepted_at)::float8 AS accepted,
       extract(epoch FROM e.expires_at)::float8 AS expires
  FROM events e
 WHERE e.event_id = $1 AND ($2::text IS NULL OR e.user_id = $2)
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

-- overdue --
-- Return open events whose time has run out, of up to $2 users after a user, as the ring goes round.
SELECT visited.user_id, late.seq
  FROM (SELECT s.user_id, c.settled_seq, c.settled_beyond
          FROM streams s LEFT JOIN cursors c USING (user_id)
         WHERE s.user_id > $1 AND s.head_seq > coalesce(c.settled_seq, 0)
         ORDER BY s.user_id LIMIT $2) AS visited
  LEFT JOIN LATERAL (
      SELECT e.seq FROM events e
       WHERE e.user_id = visited.user_id AND e.seq > coalesce(visited.settled_seq, 0)
         AND NOT coalesce(visited.settled_beyond @> e.seq, false)
         AND e.expires_at <= now()
       ORDER BY e.seq LIMIT 1000
  ) late ON true
 ORDER BY visited.user_id, late.seq;

-- counts --
-- Count events by outcome, twice over: by settlements, and open ones by cursors.
WITH settled AS (
    SELECT sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'confirmed') AS confirmed,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'dead') AS dead,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'expired') AS expired,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'discarded') AS discarded,
           sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'redriven') AS redriven
      FROM settlements
), heads AS (
    SELECT sum(s.head_seq) AS published,
           sum(s.head_seq - coalesce(c.settled_seq, 0)
               - coalesce((SELECT sum(upper(r) - lower(r))
                             FROM unnest(c.settled_beyond) AS r), 0)) AS open
      FROM streams s LEFT JOIN cursors c USING (user_id)
)
SELECT coalesce(heads.published, 0)::bigint AS published,
       coalesce(settled.confirmed, 0)::bigint AS confirmed,
       coalesce(settled.dead, 0)::bigint AS dead,
       coalesce(settled.expired, 0)::bigint AS expired,
       coalesce(settled.discarded, 0)::bigint AS discarded,
       coalesce(settled.redriven, 0)::bigint AS redriven,
       coalesce(heads.open, 0)::bigint AS open,
       (SELECT count(*) FROM attempts) AS failed_attempts
  FROM settled, heads;

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

-- put_ticket --
-- Keep a single-use secret.
WITH swept AS (DELETE FROM tickets WHERE valid_until < now() - interval '1 minute')
INSERT INTO tickets (digest, kind, subject, scopes, valid_until, session_until)
VALUES ($1, $2, $3, $4, now() + $5 * interval '1 s', to_timestamp($6::float8))
ON CONFLICT DO NOTHING;

-- take_ticket --
-- Use up a single-use secret; of two who try, one gets it.
DELETE FROM tickets WHERE digest = $1 AND kind = $2
RETURNING subject, scopes, valid_until > now() AS valid,
          extract(epoch FROM session_until)::float8 AS session_until;
