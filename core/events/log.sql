-- name: events_follow
-- What comes after a position, and what the snapshot says of transactions that may still add to it; a row
-- without an event when nothing does.  When there is news since $3, the reader gets an id of its own, after
-- the snapshot was taken.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_running, newest.sequence AS newest,
       CASE WHEN newest.sequence > $3 THEN pg_current_xact_id()::text::bigint END AS id_after,
       e.sequence, e.id AS event_id, e.type, e.data, e.source_agent_id, e.circle_id, e.project_id,
       e.time AS timestamp
FROM (SELECT coalesce(max(sequence), 0) AS sequence FROM events) AS newest
LEFT JOIN LATERAL (SELECT * FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2) e ON true;

-- name: events_list
-- The newest first, before a position; without what the daemons tell each other.
SELECT e.sequence, e.id AS event_id, e.type, e.data, e.source_agent_id, e.circle_id, e.project_id,
       e.time AS timestamp
FROM events e
WHERE e.type <> 'token.revoked' AND ($1::bigint IS NULL OR e.sequence < $1)
  AND ($2::text[] IS NULL OR e.type LIKE ANY ($2))
  AND ($3::bigint IS NULL OR e.circle_id = $3)
  AND ($4::bigint IS NULL OR e.source_agent_id = $4)
ORDER BY e.sequence DESC
LIMIT $5;

-- name: events_between
-- In their order, for a stream that goes on where it was.
SELECT e.sequence, e.id AS event_id, e.type, e.data, e.source_agent_id, e.circle_id, e.project_id,
       e.time AS timestamp
FROM events e
WHERE e.sequence > $1 AND e.sequence <= $2 AND e.type <> 'token.revoked'
  AND ($3::text[] IS NULL OR e.type LIKE ANY ($3))
  AND ($4::bigint IS NULL OR e.circle_id = $4)
  AND ($5::bigint IS NULL OR e.source_agent_id = $5)
ORDER BY e.sequence
LIMIT $6;

-- name: events_oldest
SELECT min(sequence) AS oldest FROM events;

-- name: events_maintain
SELECT events_maintain(make_interval(secs => $1)) AS forgotten;

-- name: events_drawn
-- The last sequence number that was given to anybody.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS drawn FROM events_sequence;
