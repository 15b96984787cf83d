-- Since version 6, the row of a list has the zone of each candidate's times. A list without them does not go on.

UPDATE call_lists SET why = 'canceled', ended_at = COALESCE(ended_at, asked_at)
WHERE REPLACE(request, '"timezones"', '') = request AND (why IS NULL OR why NOT IN ('booked', 'done'));
