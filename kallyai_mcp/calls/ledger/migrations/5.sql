-- No index has the column `delivered_at`, so that PostgreSQL notes that an outcome was told without writing to any index.
-- Records of one fingerprint are found by `calls_one_per_generation`.

DROP INDEX IF EXISTS calls_by_fingerprint;
DROP INDEX IF EXISTS calls_by_age;
CREATE INDEX calls_by_age ON calls (placed_at);
DROP INDEX IF EXISTS calls_unsettled;
CREATE INDEX calls_unsettled ON calls (api, account, placed_at)
    WHERE (state IN ('reserved', 'sent', 'unknown', 'scheduled')
        OR (not_before IS NOT NULL AND state IN ('expired', 'refused')));
