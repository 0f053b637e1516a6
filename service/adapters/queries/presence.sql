-- beat --
-- Write a node's heartbeat and what changed of its sessions, in one statement.
WITH node AS (
    INSERT INTO nodes (node_id, revision, instance) VALUES ($1, $2, $3)
    ON CONFLICT (node_id) DO UPDATE SET seen_at = now()
    RETURNING old.node_id IS NULL AS unknown
), gone AS (
    DELETE FROM sessions WHERE node_id = $1 AND conn = ANY ($5::text[])
), come AS (
    INSERT INTO sessions
           (conn, node_id, user_id, device_id, transport, replaces, opened_at)
    SELECT o.conn, $1, o.user_id, o.device_id, o.transport, o.replaces,
           to_timestamp(o.at)
      FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                  $11::float8[]) AS o (conn, user_id, device_id, transport, replaces, at)
    ON CONFLICT (conn) DO NOTHING
)
SELECT node.unknown,
       ARRAY (SELECT p.node_id FROM nodes AS p
               WHERE p.node_id <> $1 AND p.seen_at > now() - $4 * interval '1 s') AS peers
  FROM node;

-- taken_over --
-- Find sessions of a node that newer ones elsewhere replace, and the reverse.
WITH doubled AS (
    SELECT mine.conn, mine.node_id, mine.opened_at, mine.replaces,
           other.conn AS other_conn, other.node_id AS other_node_id,
           other.opened_at AS other_opened_at, other.replaces AS other_replaces
      FROM sessions AS mine
      JOIN sessions AS other
        ON other.user_id = mine.user_id AND other.device_id = mine.device_id
       AND other.node_id <> mine.node_id
      JOIN nodes ON nodes.node_id = other.node_id
                AND nodes.seen_at > now() - $2 * interval '1 s'
     WHERE mine.node_id = $1
)
-- Who says that it replaces the other is the newer one, whatever the clocks say.
SELECT conn, node_id, other_replaces IS NOT DISTINCT FROM conn AS moved
  FROM doubled
 WHERE other_replaces = conn
    OR (replaces IS DISTINCT FROM other_conn
        AND (other_opened_at, other_conn) > (opened_at, conn))
UNION ALL
SELECT other_conn, other_node_id, replaces IS NOT DISTINCT FROM other_conn
  FROM doubled
 WHERE conn = ANY ($3::text[])
   AND (replaces = other_conn
        OR (other_replaces IS DISTINCT FROM conn
            AND (opened_at, conn) > (other_opened_at, other_conn)));

-- leave --
-- Forget a node; its sessions go with it.
DELETE FROM nodes WHERE node_id = $1;

-- live_nodes --
-- Return the nodes that were seen lately, with the number of their sessions.
SELECT n.node_id, n.revision, n.instance,
       extract(epoch FROM n.started_at)::float8 AS started_at,
       extract(epoch FROM n.seen_at)::float8 AS seen_at,
       (SELECT count(*) FROM sessions AS s WHERE s.node_id = n.node_id) AS sessions
  FROM nodes AS n
 WHERE n.seen_at > now() - $1 * interval '1 s'
 ORDER BY n.started_at, n.node_id;

-- live_sessions --
-- Return the newest sessions of live nodes, of one revision or user if asked for.
SELECT s.conn, s.user_id, s.device_id, s.transport, s.node_id, n.revision, n.instance,
       extract(epoch FROM s.opened_at)::float8 AS opened_at
  FROM sessions AS s
  JOIN nodes AS n ON n.node_id = s.node_id AND n.seen_at > now() - $1 * interval '1 s'
 WHERE ($2::text IS NULL OR n.revision = $2) AND ($3::text IS NULL OR s.user_id = $3)
 ORDER BY s.opened_at DESC, s.conn
 LIMIT $4;

-- count_sessions --
-- Count the sessions of live nodes by revision; a revision that lives may have none.
SELECT n.revision, count(s.conn) AS sessions
  FROM nodes AS n
  LEFT JOIN sessions AS s
    ON s.node_id = n.node_id AND ($3::text IS NULL OR s.user_id = $3)
 WHERE n.seen_at > now() - $1 * interval '1 s' AND ($2::text IS NULL OR n.revision = $2)
 GROUP BY n.revision
 ORDER BY n.revision;
