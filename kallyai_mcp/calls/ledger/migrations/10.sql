-- The words by which list_calls finds a call. A word stands there as a hash of itself and its account, so that the table
-- has no text. `search_index.fill` of this package fills it for the records that are there.

CREATE TABLE call_words (
    term BIGINT NOT NULL,
    placed_at DOUBLE PRECISION NOT NULL,
    tracking_id TEXT NOT NULL,
    is_quoted INTEGER NOT NULL,
    PRIMARY KEY (term, placed_at, tracking_id)
);
CREATE INDEX call_words_by_call ON call_words (tracking_id);
