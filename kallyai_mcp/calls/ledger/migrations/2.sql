-- An index for each statement that would otherwise read more rows the more calls the ledger has.

CREATE INDEX calls_unsettled ON calls (api, account, placed_at)
    WHERE (state IN ('reserved', 'sent', 'unknown', 'scheduled')
        OR (not_before IS NOT NULL AND state IN ('expired', 'refused') AND delivered_at IS NULL));
CREATE INDEX calls_due_by_account ON calls (api, account, not_before) WHERE state = 'scheduled';
CREATE INDEX calls_late ON calls (place_by) WHERE state = 'scheduled';
CREATE INDEX call_lists_by_end ON call_lists (ended_at);
CREATE INDEX call_lists_by_end_and_account ON call_lists (api, account, ended_at);
