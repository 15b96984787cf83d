-- Since this version, the transaction that ends a call inserts the next one of its list. A list whose process ended
-- between two of its calls would never go on.

UPDATE call_lists SET why = 'canceled', ended_at = asked_at,
    message = '{"class": "KallyAIError", "code": "canceled", "message": "An older version of kallyai-mcp ended between two calls of this list."}'
WHERE why IS NULL AND NOT EXISTS (
    SELECT 1 FROM call_list_calls JOIN calls ON calls.tracking_id = call_list_calls.tracking_id
    WHERE call_list_calls.list_id = call_lists.list_id AND calls.state IN ('reserved', 'sent', 'scheduled')
);
