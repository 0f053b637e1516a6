-- find_runtime_user --
-- Say what is known of a role that is to serve.
SELECT pg_has_role(rolname, current_user, 'MEMBER') AS is_us,
       has_schema_privilege(rolname, current_schema(), 'CREATE') AS may_create
  FROM pg_roles
 WHERE rolname = $1;

-- runtime_grants --
-- Return the statements, in order, that let a role serve; all of them may be repeated.
SELECT format(statement, current_schema(), $1::text) AS statement
  FROM (VALUES
    (1, 'GRANT USAGE ON SCHEMA %1$I TO %2$I'),
    (2, 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %1$I TO %2$I'),
    (3, 'GRANT USAGE ON ALL SEQUENCES IN SCHEMA %1$I TO %2$I'),
    -- What only `migrate` writes.
    (4, 'REVOKE INSERT, UPDATE, DELETE ON %1$I.schema_migrations FROM %2$I'),
    (5, 'REVOKE INSERT, UPDATE, DELETE ON %1$I.installation FROM %2$I'),
    -- For tables of later migrations, between their making and the next grants.
    (6, 'ALTER DEFAULT PRIVILEGES IN SCHEMA %1$I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %2$I'),
    (7, 'ALTER DEFAULT PRIVILEGES IN SCHEMA %1$I GRANT USAGE ON SEQUENCES TO %2$I')
  ) AS grants (place, statement)
 ORDER BY place;

-- closed_tables --
-- Return the tables that a role cannot read: where a grant is not ours to give the server only warns.
SELECT relname AS name
  FROM pg_class
 WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
   AND NOT has_table_privilege($1::text, oid, 'SELECT')
 ORDER BY relname;
