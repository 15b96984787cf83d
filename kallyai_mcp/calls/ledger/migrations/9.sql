-- Who asked not to be called again. A row stays when its call is deleted, until the user removes it.

CREATE TABLE opt_outs (
    api TEXT NOT NULL,
    account TEXT NOT NULL,
    number TEXT NOT NULL,
    day TEXT NOT NULL,
    reason TEXT NOT NULL,
    call_id TEXT,
    quote TEXT,
    PRIMARY KEY (api, account, number)
);
ALTER TABLE calls ADD COLUMN spoken TEXT;
ALTER TABLE calls ADD COLUMN agreed_opt_out TEXT;
