-- What tells this database from any other: nodes that share a Redis hear each other by
-- it. What the server itself says of that is not for every user of a managed one.
CREATE TABLE installation (
    installation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    one             boolean PRIMARY KEY DEFAULT true CHECK (one)
);
COMMENT ON TABLE installation IS 'One row, made with the schema and never changed.';
INSERT INTO installation DEFAULT VALUES;
