-- name: circle_lock
-- Whoever changes a circle's members or tasks holds this lock first, so that one circle's changes
-- happen one after the other.
SELECT id, status, require_review FROM circles WHERE name = $1 AND deleted_at IS NULL FOR NO KEY UPDATE;

-- name: circle_id_by_name
SELECT id FROM circles WHERE name = $1 AND deleted_at IS NULL;

-- name: circle_list
SELECT c.name AS id, c.name, c.status, m.agent_count,
       c.tasks_pending + c.tasks_active + c.tasks_completed + c.tasks_failed AS task_count,
       c.tasks_active AS active_tasks, c.require_review, c.auto_route, c.created_at, c.started_at,
       NULL::bigint AS project_id, NULL::text AS project_name, count(*) OVER () AS total
FROM circles c
CROSS JOIN LATERAL (SELECT count(*) AS agent_count
                    FROM circle_members WHERE circle_id = c.id AND left_at IS NULL) m
WHERE c.deleted_at IS NULL
ORDER BY c.id
LIMIT $1 OFFSET $2;

-- name: circle_count
SELECT count(*) FROM circles WHERE deleted_at IS NULL;

-- name: circle_detail
-- A row for each member, or one without; the circle's own columns come first and are the same in all.
SELECT c.name, c.status, c.require_review, c.auto_route, c.created_at, c.started_at, c.tasks_pending,
       c.tasks_active, c.tasks_completed, c.tasks_failed,
       (SELECT count(*) FROM conflicts WHERE circle_id = c.id AND resolved_at IS NULL) AS conflicts,
       w.workers, w.titles,
       a.agent_id, a.name AS agent_name, a.provider, a.model, a.competencies, a.can_review, a.joined_at,
       a.last_active_at
FROM circles c
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(assigned_agent_id ORDER BY priority, number), '{}') AS workers,
           coalesce(array_agg(title ORDER BY priority, number), '{}') AS titles
    FROM tasks WHERE circle_id = c.id AND status IN ('assigned', 'in_progress')) w
LEFT JOIN circle_members a ON a.circle_id = c.id AND a.left_at IS NULL
WHERE c.name = $1 AND c.deleted_at IS NULL
ORDER BY a.agent_id;

-- name: circle_add
WITH added AS (
    INSERT INTO circles (name, require_review, auto_route, max_concurrent_tasks, created_by)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id, name
), told AS (
    INSERT INTO events (type, circle_id, data)
    SELECT 'circle.created', id, jsonb_build_object('circle', name) FROM added
)
SELECT id FROM added;

-- name: circle_delete
WITH deleted AS (
    UPDATE circles
    SET deleted_at = now(), updated_at = now(), status = 'stopped',
        stopped_at = CASE WHEN status = 'stopped' THEN stopped_at ELSE now() END
    WHERE name = $1 AND deleted_at IS NULL
    RETURNING id, name
), told AS (
    INSERT INTO events (type, circle_id, data)
    SELECT 'circle.deleted', id, jsonb_build_object('circle', name) FROM deleted
)
SELECT id FROM deleted;

-- name: circle_start
WITH started AS (
    UPDATE circles SET status = 'running', started_at = now(), updated_at = now()
    WHERE name = $1 AND deleted_at IS NULL AND status <> 'running'
    RETURNING id, name
), told AS (
    INSERT INTO events (type, circle_id, data)
    SELECT 'circle.started', id, jsonb_build_object('circle', name) FROM started
)
SELECT id FROM started;

-- name: circle_stop
WITH stopped AS (
    UPDATE circles SET status = 'stopped', stopped_at = now(), updated_at = now()
    WHERE name = $1 AND deleted_at IS NULL AND status <> 'stopped'
    RETURNING id, name
), told AS (
    INSERT INTO events (type, circle_id, data)
    SELECT 'circle.stopped', id, jsonb_build_object('circle', name) FROM stopped
)
SELECT id FROM stopped;

-- name: circle_member_add
-- A member who left comes back to the same row, with what the call says now.
WITH added AS (
    INSERT INTO circle_members AS m (circle_id, agent_id, agent_ref, name, provider, model, competencies,
                                     can_review)
    VALUES ($1, $2, (SELECT id FROM agents WHERE id = $2), $3, $4, $5, $6, $7)
    ON CONFLICT (circle_id, agent_id) DO UPDATE
    SET agent_ref = EXCLUDED.agent_ref, name = EXCLUDED.name, provider = EXCLUDED.provider,
        model = EXCLUDED.model, competencies = EXCLUDED.competencies, can_review = EXCLUDED.can_review,
        joined_at = now(), left_at = NULL
    WHERE m.left_at IS NOT NULL
    RETURNING agent_id, name
), told AS (
    INSERT INTO events (type, circle_id, source_agent_id, data)
    SELECT 'circle.member.added', c.id, added.agent_id,
           jsonb_build_object('circle', c.name, 'agent_id', added.agent_id, 'agent_name', added.name)
    FROM added JOIN circles c ON c.id = $1
)
SELECT agent_id FROM added;

-- name: circle_member_count
SELECT count(*) FROM circle_members WHERE circle_id = $1 AND left_at IS NULL;

-- name: circle_conflict_count
SELECT count(*) FROM conflicts WHERE circle_id = $1 AND resolved_at IS NULL;

-- name: circle_member_remove
WITH removed AS (
    UPDATE circle_members SET left_at = now()
    WHERE circle_id = $1 AND agent_id = $2 AND left_at IS NULL
    RETURNING agent_id, name
), told AS (
    INSERT INTO events (type, circle_id, source_agent_id, data)
    SELECT 'circle.member.removed', c.id, removed.agent_id,
           jsonb_build_object('circle', c.name, 'agent_id', removed.agent_id, 'agent_name', removed.name)
    FROM removed JOIN circles c ON c.id = $1
)
SELECT agent_id FROM removed;

-- name: circle_conflicts
SELECT x.id, 'file' AS type, x.path AS file_path, ARRAY[a.number, b.number]::bigint[] AS task_ids,
       array_remove(ARRAY[a.assigned_agent_id, b.assigned_agent_id], NULL) AS agent_ids, x.created_at,
       count(*) OVER () AS total
FROM circles c
JOIN conflicts x ON x.circle_id = c.id
JOIN tasks a ON a.id = x.first_task_id
JOIN tasks b ON b.id = x.second_task_id
WHERE c.name = $1 AND c.deleted_at IS NULL AND x.resolved_at IS NULL
ORDER BY x.id
LIMIT $2 OFFSET $3;

-- name: circle_metrics
SELECT m.agents, c.tasks_pending + c.tasks_active + c.tasks_completed + c.tasks_failed AS total_tasks,
       c.tasks_pending AS pending_tasks, c.tasks_active AS active_tasks, c.tasks_completed AS completed_tasks,
       c.tasks_failed AS failed_tasks, c.tasks_completed, c.tasks_active AS tasks_in_progress,
       (SELECT count(*) FROM conflicts WHERE circle_id = c.id AND resolved_at IS NOT NULL)
           AS conflicts_resolved,
       CASE WHEN c.status = 'running' THEN extract(epoch FROM now() - c.started_at)::float8 ELSE 0 END
           AS uptime_seconds
FROM circles c
CROSS JOIN LATERAL (
    SELECT coalesce(json_agg(json_build_object(
               'agent_id', a.agent_id, 'agent_name', a.name, 'tasks_completed', a.tasks_completed,
               'tasks_failed', a.tasks_failed,
               'current_workload', (SELECT count(*) FROM tasks
                                    WHERE circle_id = c.id AND assigned_agent_id = a.agent_id
                                      AND status IN ('assigned', 'in_progress', 'in_review')),
               'approval_rate', coalesce(round(a.results_passed::numeric
                                               / nullif(a.results_passed + a.results_refused, 0), 4), 0.0),
               'average_quality_score', 0.0)
               ORDER BY a.agent_id), '[]') AS agents
    FROM circle_members a WHERE a.circle_id = c.id AND a.left_at IS NULL) m
WHERE c.name = $1 AND c.deleted_at IS NULL;
