-- The log of events, one cursor per user, and what became of every seq.
-- No row is updated per event: a confirmation moves one cursor row per user and
-- appends one settlement range.

CREATE TABLE streams (
    user_id    text COLLATE "C" PRIMARY KEY,
    epoch      text NOT NULL,
    head_seq   bigint NOT NULL CHECK (head_seq >= 0)
) WITH (fillfactor = 50);  -- updated by every publish: leave room for HOT updates
COMMENT ON TABLE streams IS 'One per user; locked by publish, which numbers events.';

CREATE TABLE cursors (
    user_id        text COLLATE "C" PRIMARY KEY,
    settled_seq    bigint NOT NULL DEFAULT 0 CHECK (settled_seq >= 0),
    settled_beyond int8multirange NOT NULL DEFAULT '{}',
    pruned_seq     bigint NOT NULL DEFAULT 0 CHECK (pruned_seq >= 0)
) WITH (fillfactor = 50);
COMMENT ON COLUMN cursors.settled_seq IS 'The floor: everything up to it is settled.';
COMMENT ON COLUMN cursors.settled_beyond IS 'What is settled above the floor.';

CREATE TABLE events (
    user_id     text COLLATE "C" NOT NULL,
    seq         bigint NOT NULL CHECK (seq > 0),
    event_id    text COLLATE "C" NOT NULL,
    type        text NOT NULL,
    priority    text NOT NULL CHECK (priority IN ('critical', 'high', 'normal')),
    run_id      text,
    thread_id   text,
    data        bytea NOT NULL,
    trace       text,
    redrive     smallint NOT NULL DEFAULT 0,
    accepted_at timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (user_id, seq),
    UNIQUE (event_id, user_id)
);

CREATE TABLE settlements (
    user_id   text COLLATE "C" NOT NULL,
    from_seq  bigint NOT NULL,
    to_seq    bigint NOT NULL CHECK (to_seq >= from_seq),
    outcome   text NOT NULL CHECK (
        outcome IN ('confirmed', 'dead', 'expired', 'discarded', 'redriven')
    ),
    device_id text,
    sent_at   timestamptz,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, from_seq)
);
COMMENT ON TABLE settlements IS 'Append-only; the ranges of a user are disjoint.';
CREATE INDEX settlements_at ON settlements USING brin (at);

CREATE TABLE attempts (
    user_id   text COLLATE "C" NOT NULL,
    seq       bigint NOT NULL,
    attempt   smallint NOT NULL,
    reason    text NOT NULL,
    device_id text,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, seq, attempt)
);
COMMENT ON TABLE attempts IS 'One row per failed attempt.';

CREATE TABLE dead_letters (
    event_id    text COLLATE "C" NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    seq         bigint NOT NULL,
    reason      text NOT NULL,
    attempts    smallint NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    redriven_at timestamptz,
    PRIMARY KEY (event_id, user_id)
);
CREATE INDEX dead_letters_at ON dead_letters (at DESC);

CREATE TABLE tickets (
    digest        bytea PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('ticket', 'code')),
    subject       text NOT NULL,
    scopes        text[] NOT NULL,
    valid_until   timestamptz NOT NULL,
    session_until timestamptz
);
CREATE INDEX tickets_valid_until ON tickets (valid_until);
COMMENT ON TABLE tickets IS 'Single-use secrets, by SHA-256; taken by deleting.';
