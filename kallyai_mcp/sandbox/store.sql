-- The state of a sandbox. Repeatable. Times of calls are integer microseconds since 1970 in UTC, those of tokens are seconds.
CREATE TABLE IF NOT EXISTS placed_calls (
    call_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    report TEXT NOT NULL,
    tenths INTEGER NOT NULL,
    transcript TEXT,
    calendar TEXT,
    submission TEXT NOT NULL,
    UNIQUE (account_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS placed_calls_by_account ON placed_calls (account_id, started_at);
CREATE TABLE IF NOT EXISTS forgotten_keys (call_id TEXT PRIMARY KEY, idempotency_key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS played_calls (
    call_id TEXT PRIMARY KEY,
    number TEXT NOT NULL,
    timezone TEXT NOT NULL,
    turns TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE IF NOT EXISTS live_calls (call_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS bookings (
    call_id TEXT PRIMARY KEY,
    number TEXT NOT NULL,
    booking_id TEXT NOT NULL,
    name TEXT,
    category TEXT NOT NULL,
    party INTEGER,
    day TEXT NOT NULL,
    at TEXT,
    is_canceled INTEGER NOT NULL,
    departs TEXT
);
CREATE INDEX IF NOT EXISTS bookings_by_number ON bookings (number);
CREATE TABLE IF NOT EXISTS lines (number TEXT PRIMARY KEY, script TEXT, calls INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS refused_calls (id INTEGER PRIMARY KEY, refused TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY,
    fault TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    times_left INTEGER NOT NULL,
    happened INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS auth_keys (name TEXT PRIMARY KEY, material BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS auth_families (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    client_id TEXT,
    scope TEXT NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS auth_refresh_tokens (
    hash BLOB PRIMARY KEY,
    family TEXT NOT NULL,
    expires_at REAL NOT NULL,
    used INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS auth_refresh_tokens_by_family ON auth_refresh_tokens (family);
CREATE TABLE IF NOT EXISTS auth_codes (
    hash BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    account_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_at REAL NOT NULL,
    family TEXT
);
