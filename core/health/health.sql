-- name: health_ask
SELECT 1 AS one;

-- name: health_counts
SELECT (SELECT count(*) FROM agents) AS agents,
       (SELECT count(*) FROM circles WHERE deleted_at IS NULL) AS circles,
       (SELECT count(*) FROM tasks t JOIN circles c ON c.id = t.circle_id AND c.deleted_at IS NULL
        WHERE t.status IN ('assigned', 'in_progress', 'in_review')) AS active_tasks;
