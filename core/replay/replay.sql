-- name: replay_page
-- What is in the log behind a position and up to another, in its order.
SELECT e.sequence, e.id AS event_id, e.type, e.data, e.source_agent_id, e.circle_id, e.project_id,
       e.time AS timestamp
FROM events e
WHERE e.sequence > $1 AND e.sequence <= $2
ORDER BY e.sequence
LIMIT $3;

-- name: replay_insert
-- Says how many were not there yet.  The transaction gets its id before it draws the first number
-- (core/events/horizon.h); the numbers follow the order of the arrays.
WITH me AS MATERIALIZED (
    SELECT pg_current_xact_id() AS id
), added AS (
    INSERT INTO events (id, type, data, source_agent_id, circle_id, project_id, time)
    SELECT new.id, new.type, new.data, new.source_agent_id, new.circle_id, new.project_id, new.time
    FROM me, unnest($1::uuid[], $2::text[], $3::jsonb[], $4::bigint[], $5::bigint[], $6::bigint[],
                    $7::timestamptz[]) WITH ORDINALITY
         AS new (id, type, data, source_agent_id, circle_id, project_id, time, place)
    WHERE me.id IS NOT NULL
    ORDER BY new.place
    ON CONFLICT (id, time) DO NOTHING
    RETURNING 1
)
SELECT count(*) AS added FROM added;

-- name: replay_identity
-- Which database this is, whatever it is called.
SELECT (SELECT system_identifier FROM pg_control_system()) || '/' ||
       (SELECT oid FROM pg_database WHERE datname = current_database()) AS identity;

-- name: replay_circles
-- All that ever had this name.
SELECT id FROM circles WHERE name = $1 ORDER BY id;
