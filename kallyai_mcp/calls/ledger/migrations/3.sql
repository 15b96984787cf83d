-- Events and webhooks are gone. The columns `calls.noted_at` and `accounts.events`, which nothing reads, stay: a process
-- of an older version that still runs writes the first, and while the second is NULL, it writes no event.

DROP TABLE webhook_outbox;
DROP TABLE webhook_subscriptions;
DROP TABLE events;
DROP INDEX calls_unnoted;
UPDATE accounts SET events = NULL;
