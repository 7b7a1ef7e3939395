-- name: event_consumers_join
INSERT INTO event_consumers (name) VALUES ($1) ON CONFLICT (name) DO NOTHING;

-- name: event_consumers_claim
-- Nothing when another transaction is at it.
SELECT position FROM event_consumers WHERE name = $1 FOR UPDATE SKIP LOCKED;

-- name: event_consumers_share
-- The next $3 events behind a position and up to another.
SELECT coalesce(max(sequence), 0) AS up_to, count(*) AS events
FROM (SELECT sequence FROM events WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3) next;

-- name: event_consumers_move
UPDATE event_consumers SET position = $2, updated_at = now() WHERE name = $1;
