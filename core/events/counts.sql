-- name: event_counts_add
-- What is between two positions, without what the daemons tell each other.
INSERT INTO event_counts (day, type, circle_id, events)
SELECT (time AT TIME ZONE 'UTC')::date, type, coalesce(circle_id, 0), count(*)
FROM events
WHERE sequence > $1 AND sequence <= $2 AND type <> 'token.revoked'
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
ON CONFLICT (day, type, circle_id) DO UPDATE SET events = event_counts.events + excluded.events;

-- name: event_counts_list
SELECT day, type, sum(events)::bigint AS events
FROM event_counts
WHERE day BETWEEN $1 AND $2
  AND ($3::text[] IS NULL OR type LIKE ANY ($3))
  AND ($4::bigint IS NULL OR circle_id = $4)
GROUP BY day, type
ORDER BY day, type;
