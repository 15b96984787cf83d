-- The tables, in the SQL that SQLite and PostgreSQL share. Times are seconds since the epoch.
--
-- The unique indexes guarantee that a call of the service belongs to one record, that a confirmation is used once, and
-- that an account has at most one active or scheduled record of a fingerprint.

CREATE TABLE calls (
    tracking_id TEXT PRIMARY KEY,
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    day TEXT NOT NULL,
    generation INTEGER NOT NULL,
    idempotency_key TEXT NOT NULL,
    number TEXT NOT NULL,
    submission TEXT NOT NULL,
    timezone TEXT NOT NULL,
    session_id TEXT,
    worker TEXT NOT NULL,
    state TEXT NOT NULL,
    placed_at DOUBLE PRECISION NOT NULL,
    sent_at DOUBLE PRECISION,
    clock_offset DOUBLE PRECISION,
    response_lost_at DOUBLE PRECISION,
    ended_at DOUBLE PRECISION,
    delivered_at DOUBLE PRECISION,
    call_id TEXT,
    outcome TEXT,
    calendar TEXT,
    reached INTEGER,
    error TEXT,
    confirmation_id TEXT,
    not_before DOUBLE PRECISION,
    place_by DOUBLE PRECISION,
    attempts INTEGER NOT NULL,
    earlier TEXT,
    noted_at DOUBLE PRECISION
);
CREATE UNIQUE INDEX calls_one_per_call_id ON calls (api, account, call_id) WHERE call_id IS NOT NULL;
CREATE UNIQUE INDEX calls_one_per_confirmation ON calls (confirmation_id) WHERE confirmation_id IS NOT NULL;
CREATE UNIQUE INDEX calls_one_per_generation ON calls (api, account, fingerprint, day, generation);
CREATE UNIQUE INDEX calls_one_open ON calls (api, account, fingerprint)
    WHERE state IN ('scheduled', 'reserved', 'sent');
CREATE INDEX calls_active ON calls (worker) WHERE state IN ('reserved', 'sent');
CREATE INDEX calls_by_fingerprint ON calls (api, account, fingerprint, placed_at);
CREATE INDEX calls_by_number ON calls (api, account, number, placed_at);
CREATE INDEX calls_by_time ON calls (api, account, placed_at);
CREATE INDEX calls_by_age ON calls (placed_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX calls_due ON calls (not_before) WHERE state = 'scheduled';
CREATE INDEX calls_unnoted ON calls (api, account)
    WHERE ended_at IS NOT NULL AND (noted_at IS NULL OR noted_at <> ended_at);

CREATE TABLE accounts (api TEXT NOT NULL, account TEXT NOT NULL, events BIGINT, PRIMARY KEY (api, account));

CREATE TABLE audit (
    at DOUBLE PRECISION NOT NULL,
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    tracking_id TEXT NOT NULL,
    number TEXT NOT NULL,
    asked_by TEXT,
    how TEXT,
    risk_flags TEXT NOT NULL,
    outcome TEXT NOT NULL
);
CREATE INDEX audit_by_account ON audit (api, account, at);
CREATE INDEX audit_by_age ON audit (at);

CREATE TABLE shared_values (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE INDEX shared_values_by_end ON shared_values (expires_at);

CREATE TABLE events (
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    position BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    name TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (api, account, position)
);
CREATE UNIQUE INDEX events_once ON events (api, account, event_id);
CREATE INDEX events_by_age ON events (at);

CREATE TABLE webhook_subscriptions (
    id TEXT PRIMARY KEY,
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    url TEXT NOT NULL,
    name TEXT NOT NULL,
    call_id TEXT,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until DOUBLE PRECISION,
    expires_at DOUBLE PRECISION NOT NULL,
    sign_in TEXT,
    position BIGINT NOT NULL,
    last_delivery_at DOUBLE PRECISION,
    last_error TEXT,
    failed_since DOUBLE PRECISION,
    ended TEXT,
    has_gap INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX webhooks_by_account ON webhook_subscriptions (api, account);

CREATE TABLE webhook_outbox (
    subscription TEXT NOT NULL,
    position BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,
    taken_until DOUBLE PRECISION,
    message_id TEXT,
    PRIMARY KEY (subscription, position)
);
CREATE INDEX webhook_outbox_due ON webhook_outbox (due_at);

CREATE TABLE call_lists (
    list_id TEXT PRIMARY KEY,
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request TEXT NOT NULL,
    timezone TEXT NOT NULL,
    worker TEXT NOT NULL,
    asked_at DOUBLE PRECISION NOT NULL,
    passed INTEGER NOT NULL,
    why TEXT,
    message TEXT,
    ended_at DOUBLE PRECISION,
    confirmation_id TEXT
);
CREATE UNIQUE INDEX call_lists_one_open ON call_lists (api, account, fingerprint) WHERE why IS NULL;
CREATE UNIQUE INDEX call_lists_one_per_confirmation ON call_lists (confirmation_id)
    WHERE confirmation_id IS NOT NULL;
CREATE INDEX call_lists_by_fingerprint ON call_lists (api, account, fingerprint, asked_at);

CREATE TABLE call_list_calls (
    list_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    tracking_id TEXT NOT NULL,
    PRIMARY KEY (list_id, position)
);
CREATE INDEX call_list_calls_by_call ON call_list_calls (tracking_id);
