-- The calls of a list are those with its `plan_id`; a call belongs to at most one list. `call_list_calls` stays, so that a
-- process of an older version that still runs can write how its calls end.
--
-- A list that can't go on so is canceled, with its next call: one whose call another list has, and one whose version had
-- no zone for each candidate, though they differ. One that has ended, and whose call another list has, is gone.

ALTER TABLE calls ADD COLUMN plan_id TEXT;
UPDATE calls SET plan_id = COALESCE(
    (SELECT own.list_id FROM call_list_calls AS own
        WHERE own.tracking_id = calls.tracking_id AND own.list_id = calls.session_id),
    (SELECT MIN(other.list_id) FROM call_list_calls AS other WHERE other.tracking_id = calls.tracking_id)
) WHERE tracking_id IN (SELECT tracking_id FROM call_list_calls);
DELETE FROM call_lists WHERE why IN ('booked', 'answered', 'done', 'canceled') AND EXISTS (
    SELECT 1 FROM call_list_calls JOIN calls ON calls.tracking_id = call_list_calls.tracking_id
    WHERE call_list_calls.list_id = call_lists.list_id AND calls.plan_id <> call_lists.list_id
);
UPDATE call_lists SET why = 'canceled', ended_at = COALESCE(ended_at, asked_at)
WHERE (why IS NULL OR why NOT IN ('booked', 'done')) AND (
    EXISTS (
        SELECT 1 FROM call_list_calls JOIN calls ON calls.tracking_id = call_list_calls.tracking_id
        WHERE call_list_calls.list_id = call_lists.list_id AND calls.plan_id <> call_lists.list_id
    )
    OR request <> REPLACE(request, '"own_zones": true', '') AND request = REPLACE(request, '"timezones"', '')
);
UPDATE calls SET state = 'canceled', ended_at = placed_at, delivered_at = placed_at
WHERE state IN ('scheduled', 'reserved') AND session_id = plan_id
    AND plan_id IN (SELECT list_id FROM call_lists WHERE why = 'canceled');
CREATE INDEX calls_by_plan ON calls (plan_id) WHERE plan_id IS NOT NULL;
