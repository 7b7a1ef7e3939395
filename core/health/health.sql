-- name: health_ask
SELECT 1 AS one;

-- name: health_counts
SELECT (SELECT count(*) FROM agents) AS agents,
       count(*) AS circles, coalesce(sum(tasks_active), 0) AS active_tasks
FROM circles WHERE deleted_at IS NULL;
