-- `list_calls` reads the scheduled calls that were not placed, whatever else the ledger has.

CREATE INDEX IF NOT EXISTS calls_not_placed ON calls (api, account, ended_at)
    WHERE not_before IS NOT NULL AND state IN ('expired', 'refused', 'canceled');
