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
    client_instance text,  -- one run of its program, if it says so
    connection_n bigint NOT NULL DEFAULT 0,  -- which connection of that instance
    client_started bigint,  -- when that instance began, in ms by the device's own clock
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
    within_seconds float8,  -- of a drain: how soon the sessions must be gone
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

-- For the story of an event that was redriven; few rows.
CREATE INDEX events_redriven ON events (event_id, user_id)
 WHERE redriven_to IS NOT NULL;

ALTER TABLE dead_letters ADD COLUMN discarded_at timestamptz;
CREATE INDEX dead_letters_open ON dead_letters (at)
 WHERE redriven_at IS NULL AND discarded_at IS NULL;
CREATE INDEX dead_letters_seq ON dead_letters (user_id, seq);
COMMENT ON TABLE dead_letters IS
    'Open until redriven_at or discarded_at; while open its event is never pruned.';

-- Work of which one node at a time does a piece: when the next is due, and where the
-- last one ended, so that any node goes on there.
CREATE TABLE chores (
    name    text PRIMARY KEY,
    next_at timestamptz NOT NULL DEFAULT now(),
    user_id text COLLATE "C" NOT NULL DEFAULT '',
    seq     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);  -- updated by every piece
INSERT INTO chores (name)
VALUES ('expire'), ('prune'), ('letters'), ('leftovers'), ('backlog'), ('samples');

-- What the console's charts are drawn from: a row every ten seconds, for a day.
CREATE TABLE samples (
    at              timestamptz PRIMARY KEY DEFAULT now(),
    published       bigint NOT NULL,
    confirmed       bigint NOT NULL,
    dead            bigint NOT NULL,
    expired         bigint NOT NULL,
    discarded       bigint NOT NULL,
    redriven        bigint NOT NULL,
    open            bigint NOT NULL,
    oldest_open_seconds float8 NOT NULL,
    sessions        bigint NOT NULL,
    failed_attempts bigint NOT NULL,
    p50             float8,
    p99             float8
);
COMMENT ON TABLE samples IS 'Totals at a time; failed_attempts, p50 and p99 since the row before.';
-- The few that are not confirmed are counted every time, so they have an index.
CREATE INDEX settlements_unconfirmed ON settlements (outcome, from_seq, to_seq)
 WHERE outcome <> 'confirmed';
CREATE INDEX attempts_at ON attempts USING brin (at);

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

-- A run is looked up by its id, or by how that begins: by people, and by views of one.
ALTER TABLE events ALTER COLUMN run_id TYPE text COLLATE "C";
CREATE INDEX events_run ON events (run_id, user_id, seq) WHERE run_id IS NOT NULL;

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
