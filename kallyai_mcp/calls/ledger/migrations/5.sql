-- The tables, in the SQL that SQLite and PostgreSQL share. Times are seconds since the epoch.
--
-- The unique indexes guarantee that a call of the service belongs to one record, that a confirmation is used once, and
-- that an account has at most one active or scheduled record of a fingerprint. No index has the column `delivered_at`, so
-- that PostgreSQL notes that an outcome was told without writing to any index. The other indexes are each for a statement
-- that would otherwise read more rows the more calls the ledger has; `calls_one_per_generation` finds those of a fingerprint.

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
    earlier TEXT
);
CREATE UNIQUE INDEX calls_one_per_call_id ON calls (api, account, call_id) WHERE call_id IS NOT NULL;
CREATE UNIQUE INDEX calls_one_per_confirmation ON calls (confirmation_id) WHERE confirmation_id IS NOT NULL;
CREATE UNIQUE INDEX calls_one_per_generation ON calls (api, account, fingerprint, day, generation);
CREATE UNIQUE INDEX calls_one_open ON calls (api, account, fingerprint)
    WHERE state IN ('scheduled', 'reserved', 'sent');
CREATE INDEX calls_active ON calls (worker) WHERE state IN ('reserved', 'sent');
CREATE INDEX calls_by_number ON calls (api, account, number, placed_at);
CREATE INDEX calls_by_time ON calls (api, account, placed_at);
CREATE INDEX calls_by_age ON calls (placed_at);
CREATE INDEX calls_due ON calls (not_before) WHERE state = 'scheduled';
CREATE INDEX calls_due_by_account ON calls (api, account, not_before) WHERE state = 'scheduled';
CREATE INDEX calls_late ON calls (place_by) WHERE state = 'scheduled';
CREATE INDEX calls_unsettled ON calls (api, account, placed_at)
    WHERE (state IN ('reserved', 'sent', 'unknown', 'scheduled')
        OR (not_before IS NOT NULL AND state IN ('expired', 'refused')));

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
CREATE INDEX call_lists_by_end ON call_lists (ended_at);
CREATE INDEX call_lists_by_end_and_account ON call_lists (api, account, ended_at);

CREATE TABLE call_list_calls (
    list_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    tracking_id TEXT NOT NULL,
    PRIMARY KEY (list_id, position)
);
CREATE INDEX call_list_calls_by_call ON call_list_calls (tracking_id);
