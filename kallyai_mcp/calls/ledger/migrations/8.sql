-- The call whose booking a call is about has a column, so that nothing searches the submissions for a sentence.
-- `bookings.fill` of this package fills it for the records that are there.

ALTER TABLE calls ADD COLUMN about_call_id TEXT;
CREATE INDEX calls_about_bookings ON calls (api, account, placed_at) WHERE about_call_id IS NOT NULL;
