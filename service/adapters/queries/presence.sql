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
           (conn, node_id, user_id, device_id, transport, replaces, opened_at,
            client_instance, connection_n, client_started)
    SELECT o.conn, $1, o.user_id, o.device_id, o.transport, o.replaces,
           to_timestamp(o.at), o.instance, o.n, o.started
      FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                  $11::float8[], $12::text[], $13::bigint[], $14::bigint[])
           AS o (conn, user_id, device_id, transport, replaces, at, instance, n,
                 started)
    ON CONFLICT (conn) DO NOTHING
)
SELECT node.unknown,
       ARRAY (SELECT p.node_id FROM nodes AS p
               WHERE p.node_id <> $1 AND p.seen_at > now() - $4 * interval '1 s') AS peers
  FROM node;

-- taken_over --
-- Find sessions of a node that newer ones elsewhere replace, and the reverse.
WITH doubled AS (
    SELECT mine.conn, mine.node_id,
           other.conn AS other_conn, other.node_id AS other_node_id,
           other.replaces IS NOT DISTINCT FROM mine.conn AS other_replaces,
           mine.replaces IS NOT DISTINCT FROM other.conn AS replaces,
           (mine.client_instance = other.client_instance) IS TRUE AS same_client,
           other.connection_n - mine.connection_n AS later_by,
           other.client_started - mine.client_started AS started_later_by,
           (other.opened_at, other.conn) > (mine.opened_at, mine.conn) AS opened_later
      FROM sessions AS mine
      JOIN sessions AS other
        ON other.user_id = mine.user_id AND other.device_id = mine.device_id
       AND other.node_id <> mine.node_id
      JOIN nodes ON nodes.node_id = other.node_id
                AND nodes.seen_at > now() - $2 * interval '1 s'
     WHERE mine.node_id = $1
), decided AS (
    -- A client counts its own connections. Otherwise, who says that it replaces the
    -- other is the newer one, then who was started later, whatever our clocks say.
    SELECT *, CASE WHEN same_client AND later_by <> 0 THEN later_by > 0
                   WHEN other_replaces <> replaces THEN other_replaces
                   WHEN NOT same_client AND started_later_by <> 0
                   THEN started_later_by > 0
                   ELSE opened_later END AS other_is_newer
      FROM doubled
)
-- What is older and was opened later came late: it may come again, or nobody is there.
SELECT conn, node_id, same_client OR other_replaces OR NOT opened_later AS moved
  FROM decided
 WHERE other_is_newer
UNION ALL
SELECT other_conn, other_node_id, same_client OR replaces OR opened_later
  FROM decided
 WHERE NOT other_is_newer AND conn = ANY ($3::text[]);

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
