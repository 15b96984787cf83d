-- The planned calls that are over, in the order of their ends: those that nobody was told of are told with the next result.

CREATE INDEX calls_planned ON calls (api, account, ended_at) WHERE not_before IS NOT NULL AND ended_at IS NOT NULL;
