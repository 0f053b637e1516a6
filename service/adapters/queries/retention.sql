-- take_chore --
-- Take the next piece of a chore if it is due and no other node is at it; held to the end of the transaction.
SELECT user_id, seq FROM chores
 WHERE name = $1 AND next_at <= now()
   FOR UPDATE SKIP LOCKED;

-- leave_chore --
-- Say where the next piece of a chore begins, and not before how many seconds.
UPDATE chores SET user_id = $2, seq = $3, next_at = now() + $4 * interval '1 s'
 WHERE name = $1;

-- overdue --
-- Walk on from a place: at most $3 streams and $4 open events. Returns which of these are late, beside where the walk ended ('' when it went all round).
WITH ring AS MATERIALIZED (
    SELECT s.user_id, c.settled_beyond, s.head_seq,
           greatest(c.settled_seq, CASE WHEN s.user_id = $1 THEN $2::bigint ELSE 0 END)
             AS after_seq
      FROM streams s LEFT JOIN cursors c USING (user_id)
     WHERE s.user_id >= $1
     ORDER BY s.user_id
     LIMIT $3
), looked AS MATERIALIZED (
    SELECT r.user_id, e.seq,
           e.expires_at <= now() AND NOT coalesce(r.settled_beyond @> e.seq, false)
             AS late
      FROM ring r
     CROSS JOIN LATERAL (
           SELECT seq, expires_at FROM events
            WHERE user_id = r.user_id AND seq > r.after_seq
            ORDER BY seq LIMIT $4) AS e
     WHERE r.head_seq > r.after_seq
     ORDER BY r.user_id, e.seq
     LIMIT $4
), ended AS (
    SELECT CASE WHEN (SELECT count(*) FROM looked) = $4
                THEN (SELECT user_id FROM looked ORDER BY user_id DESC LIMIT 1)
                WHEN (SELECT count(*) FROM ring) = $3
                THEN (SELECT max(user_id) FROM ring)
                ELSE ''
           END AS user_id
), place AS (
    SELECT ended.user_id,
           CASE WHEN (SELECT count(*) FROM looked) = $4
                THEN (SELECT max(l.seq) FROM looked l WHERE l.user_id = ended.user_id)
                WHEN ended.user_id = '' THEN 0
                ELSE 9223372036854775807
           END AS seq
      FROM ended
)
SELECT place.user_id AS at_user, place.seq AS at_seq, l.user_id, l.seq
  FROM place LEFT JOIN looked l ON l.late
 ORDER BY l.user_id, l.seq;

-- prunable --
-- Walk on after a user: of the next $2 users return at most $3 whose oldest settlement is older than $4 seconds, beside where the walk ended ('' when it went all round).
WITH ring AS MATERIALIZED (
    SELECT user_id, settled_seq, pruned_seq FROM cursors
     WHERE user_id > $1 ORDER BY user_id LIMIT $2
), ripe AS MATERIALIZED (
    SELECT r.user_id FROM ring r
     WHERE r.settled_seq > r.pruned_seq
       AND (SELECT t.at FROM settlements t
             WHERE t.user_id = r.user_id AND t.from_seq = r.pruned_seq + 1)
           < now() - $4 * interval '1 s'
     ORDER BY r.user_id
     LIMIT $3
)
SELECT CASE WHEN (SELECT count(*) FROM ripe) = $3 THEN (SELECT max(user_id) FROM ripe)
            WHEN (SELECT count(*) FROM ring) = $2 THEN (SELECT max(user_id) FROM ring)
            ELSE ''
       END AS at_user,
       ARRAY(SELECT user_id FROM ripe ORDER BY user_id) AS users;

-- lock_free_cursors --
-- Lock the cursors of these users; one that somebody settles for just now is left out.
SELECT user_id FROM cursors
 WHERE user_id = ANY ($1::text[])
 ORDER BY user_id
   FOR UPDATE SKIP LOCKED;

-- prune --
-- Prune these users, whose cursors are locked: at most $2 seqs each, settled more than $3 seconds ago. What an open dead letter points at stays. With $4, also what closed letters left further down.
WITH mine AS MATERIALIZED (
    SELECT c.user_id, c.pruned_seq, c.settled_seq,
           CASE WHEN $4::bool THEN 0 ELSE c.pruned_seq END AS after_seq,
           -- Up to what was settled too lately; never over the floor.
           least(c.settled_seq, c.pruned_seq + $2::bigint,
                 (SELECT t.from_seq - 1 FROM settlements t
                   WHERE t.user_id = c.user_id AND t.from_seq > c.pruned_seq
                     AND t.from_seq <= c.pruned_seq + $2::bigint
                     AND t.at >= now() - $3 * interval '1 s'
                   ORDER BY t.from_seq LIMIT 1)) AS upto
      FROM cursors c WHERE c.user_id = ANY ($1::text[])
), kept AS MATERIALIZED (
    SELECT m.user_id, open.seq
      FROM mine m
     CROSS JOIN LATERAL (
           SELECT d.seq FROM dead_letters d
            WHERE d.user_id = m.user_id AND d.seq > m.after_seq AND d.seq <= m.upto
              AND d.redriven_at IS NULL AND d.discarded_at IS NULL
           OFFSET 0) AS open
), whole AS (
    -- By row addresses: a join would be planned as a walk through the whole table.
    -- They hold still, because whoever changes these rows locks the cursor first.
    DELETE FROM settlements WHERE ctid = ANY (ARRAY(
        SELECT t.ctid FROM mine m
         CROSS JOIN LATERAL (
               SELECT ctid, from_seq FROM settlements
                WHERE user_id = m.user_id
                  AND from_seq > m.after_seq AND from_seq <= m.upto
                  AND to_seq <= m.upto
               OFFSET 0) AS t
         WHERE (m.user_id, t.from_seq) NOT IN (SELECT user_id, seq FROM kept)))
    RETURNING user_id, outcome, to_seq - from_seq + 1 AS seqs
), cut AS (
    UPDATE settlements t SET from_seq = straddling.upto + 1
      FROM (SELECT m.user_id, m.upto, near.from_seq
              FROM mine m
             CROSS JOIN LATERAL (
                   SELECT from_seq, to_seq FROM settlements
                    WHERE user_id = m.user_id
                      AND from_seq > m.after_seq AND from_seq <= m.upto
                    ORDER BY from_seq DESC LIMIT 1) AS near
             WHERE near.to_seq > m.upto) AS straddling
     WHERE t.user_id = straddling.user_id AND t.from_seq = straddling.from_seq
    RETURNING t.user_id, t.outcome, new.from_seq - old.from_seq AS seqs
), gone AS (
    DELETE FROM events WHERE ctid = ANY (ARRAY(
        SELECT e.ctid FROM mine m
         CROSS JOIN LATERAL (
               SELECT ctid, seq FROM events
                WHERE user_id = m.user_id AND seq > m.after_seq AND seq <= m.upto
               OFFSET 0) AS e
         WHERE (m.user_id, e.seq) NOT IN (SELECT user_id, seq FROM kept)))
    RETURNING 1
), failures AS (
    DELETE FROM attempts WHERE ctid = ANY (ARRAY(
        SELECT a.ctid FROM mine m
         CROSS JOIN LATERAL (
               SELECT ctid, seq FROM attempts
                WHERE user_id = m.user_id AND seq > m.after_seq AND seq <= m.upto
               OFFSET 0) AS a
         WHERE (m.user_id, a.seq) NOT IN (SELECT user_id, seq FROM kept)))
), said AS (
    SELECT user_id,
           sum(seqs) FILTER (WHERE outcome = 'confirmed') AS confirmed,
           sum(seqs) FILTER (WHERE outcome = 'dead') AS dead,
           sum(seqs) FILTER (WHERE outcome = 'expired') AS expired,
           sum(seqs) FILTER (WHERE outcome = 'discarded') AS discarded,
           sum(seqs) FILTER (WHERE outcome = 'redriven') AS redriven
      FROM (SELECT * FROM whole UNION ALL SELECT * FROM cut) AS both_kinds
     GROUP BY user_id
), moved AS (
    UPDATE cursors c
       SET pruned_seq = m.upto,
           pruned_confirmed = c.pruned_confirmed + coalesce(s.confirmed, 0),
           pruned_dead = c.pruned_dead + coalesce(s.dead, 0),
           pruned_expired = c.pruned_expired + coalesce(s.expired, 0),
           pruned_discarded = c.pruned_discarded + coalesce(s.discarded, 0),
           pruned_redriven = c.pruned_redriven + coalesce(s.redriven, 0)
      FROM mine m LEFT JOIN said s USING (user_id)
     WHERE c.user_id = m.user_id
)
SELECT (SELECT count(*) FROM gone) AS events,
       coalesce((SELECT bool_or(upto = pruned_seq + $2::bigint AND upto < settled_seq)
                   FROM mine), false) AS cut_short;

-- aged_letters --
-- Walk on from a place: of the next $3 dead letters return those below pruned_seq that are older than $4 seconds, or closed $5 seconds ago with an event that is still there; beside where the walk ended ('' when it went all round).
WITH ring AS MATERIALIZED (
    SELECT d.user_id, d.seq, d.event_id, d.at,
           coalesce(d.redriven_at, d.discarded_at) AS closed_at
      FROM dead_letters d
     WHERE (d.user_id, d.seq) > ($1, $2::bigint)
     ORDER BY d.user_id, d.seq
     LIMIT $3
), ended AS (
    SELECT r.user_id, r.seq FROM ring r
     WHERE (SELECT count(*) FROM ring) = $3
     ORDER BY r.user_id DESC, r.seq DESC LIMIT 1
)
SELECT coalesce((SELECT user_id FROM ended), '') AS at_user,
       coalesce((SELECT seq FROM ended), 0) AS at_seq, r.user_id, r.event_id
  FROM (SELECT) AS always
  LEFT JOIN ring r
    ON r.seq <= (SELECT c.pruned_seq FROM cursors c WHERE c.user_id = r.user_id)
   AND (r.at < now() - $4 * interval '1 s'
        OR (r.closed_at < now() - $5 * interval '1 s'
            AND (SELECT true FROM events e
                  WHERE e.user_id = r.user_id AND e.seq = r.seq)))
 ORDER BY r.user_id, r.seq;

-- forget_letters --
-- Delete dead letters of users whose cursors are locked, if they are still older than $3 seconds: one that died again since is not.
DELETE FROM dead_letters d
 USING unnest($1::text[], $2::text[]) AS aged (user_id, event_id)
 WHERE d.user_id = aged.user_id AND d.event_id = aged.event_id
   AND d.at < now() - $3 * interval '1 s';

-- drop_leftovers --
-- Delete at most $1 of each: secrets and requests that hold no more, nodes that were not seen for $2 seconds (with their sessions), webhooks that ended $3 seconds ago.
WITH secrets AS (
    DELETE FROM tickets WHERE digest IN (
        SELECT digest FROM tickets
         WHERE valid_until < now() - interval '1 minute' LIMIT $1
           FOR UPDATE SKIP LOCKED)
    RETURNING 1
), requests AS (
    DELETE FROM controls WHERE control_id IN (
        SELECT control_id FROM controls
         WHERE until < now() - interval '1 hour' LIMIT $1
           FOR UPDATE SKIP LOCKED)
    RETURNING 1
), silent AS (
    DELETE FROM nodes WHERE node_id IN (
        SELECT node_id FROM nodes
         WHERE seen_at < now() - $2 * interval '1 s' LIMIT $1
           FOR UPDATE SKIP LOCKED)
    RETURNING 1
), sent AS (
    DELETE FROM webhook_outbox WHERE delivery_id IN (
        SELECT delivery_id FROM webhook_outbox
         WHERE coalesce(delivered_at, given_up_at) < now() - $3 * interval '1 s'
         LIMIT $1
           FOR UPDATE SKIP LOCKED)
    RETURNING 1
)
SELECT ((SELECT count(*) FROM secrets) + (SELECT count(*) FROM requests)
        + (SELECT count(*) FROM silent) + (SELECT count(*) FROM sent))::int AS rows;
