-- Many nodes on one database: who is connected where, and what people ask of all
-- nodes at once. Redrive, retention and webhooks for dead letters.

CREATE TABLE nodes (
    node_id    text PRIMARY KEY,
    revision   text NOT NULL,
    instance   text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);  -- updated every sweep
COMMENT ON TABLE nodes IS 'One per process that serves; seen_at is its heartbeat.';

CREATE TABLE sessions (
    conn        text PRIMARY KEY,
    node_id     text NOT NULL REFERENCES nodes ON DELETE CASCADE,
    user_id     text COLLATE "C" NOT NULL,
    device_id   text NOT NULL,
    transport   text NOT NULL,
    replaces    text,
    opened_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_device ON sessions (user_id, device_id);
CREATE INDEX sessions_node ON sessions (node_id);
COMMENT ON TABLE sessions IS 'Live sessions of all nodes; gone with their node.';

CREATE TABLE controls (
    control_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('drain', 'revoke', 'cancel')),
    subject    text COLLATE "C" NOT NULL,
    run_id     text,
    asked_by   text NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    until      timestamptz NOT NULL,
    CHECK ((kind = 'cancel') = (run_id IS NOT NULL))
);
CREATE INDEX controls_at ON controls (at);
CREATE INDEX controls_subject ON controls (kind, subject, run_id);
COMMENT ON COLUMN controls.subject IS 'drain: the revision; revoke and cancel: the user.';

-- A redriven event has a new row at the head; the old one stays until it is pruned.
ALTER TABLE events ADD COLUMN redriven_to bigint;
CREATE UNIQUE INDEX events_event_id ON events (event_id, user_id)
 WHERE redriven_to IS NULL;
ALTER TABLE events DROP CONSTRAINT events_event_id_user_id_key;

ALTER TABLE dead_letters ADD COLUMN discarded_at timestamptz;

CREATE TABLE webhook_outbox (
    delivery_id  text PRIMARY KEY,
    body         bytea NOT NULL,
    attempts     smallint NOT NULL DEFAULT 0,
    last_error   text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    next_at      timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    given_up_at  timestamptz
);
CREATE INDEX webhook_outbox_due ON webhook_outbox (next_at)
 WHERE delivered_at IS NULL AND given_up_at IS NULL;
COMMENT ON TABLE webhook_outbox IS 'Written with the dead letter, in one commit.';

-- What the pruned settlements said, so that the sums still agree.
ALTER TABLE cursors
    ADD COLUMN pruned_confirmed bigint NOT NULL DEFAULT 0,
    ADD COLUMN pruned_dead      bigint NOT NULL DEFAULT 0,
    ADD COLUMN pruned_expired   bigint NOT NULL DEFAULT 0,
    ADD COLUMN pruned_discarded bigint NOT NULL DEFAULT 0,
    ADD COLUMN pruned_redriven  bigint NOT NULL DEFAULT 0;

-- A ticket is bound to the page's origin and to the token that it was bought with.
ALTER TABLE tickets
    ADD COLUMN origin    text,
    ADD COLUMN issued_at timestamptz,
    ADD COLUMN key_id    text;
