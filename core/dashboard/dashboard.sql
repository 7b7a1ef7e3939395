-- name: dashboard_stats (slow)
SELECT (SELECT json_build_object('total', count(*), 'active', count(*),
                                 'busy', count(*) FILTER (WHERE status = 'busy'),
                                 'idle', count(*) FILTER (WHERE status = 'idle')) FROM agents) AS agents,
       (SELECT json_build_object('total', count(*)) FROM providers) AS providers,
       (SELECT json_build_object('total', count(*)) FROM models) AS models,
       (SELECT json_build_object('total', count(*), 'active', count(*) FILTER (WHERE deleted_at IS NULL),
                                 'total_tasks', coalesce(sum(tasks_pending + tasks_active + tasks_completed
                                                             + tasks_failed), 0)) FROM circles) AS circles,
       (SELECT json_build_object('tasks_completed', coalesce(sum(tasks_completed), 0),
                                 'reviews_done', coalesce(sum(reviews_done), 0))
        FROM circle_members) AS activity,
       false AS demo_mode;

-- name: dashboard_circles (slow)
SELECT c.id, c.name, c.name AS display_name, NULL::text AS description, c.created_by AS owner_id,
       '{}'::text AS settings, c.require_review, 1::bigint AS min_reviewers, true AS auto_assign_reviewer,
       false AS self_review_allowed, true AS escalate_on_reject, '{}'::text AS review_policy, c.auto_route,
       c.status, c.deleted_at IS NULL AS is_active, c.created_at, c.updated_at, c.started_at, c.stopped_at,
       NULL::bigint AS project_id,
       (SELECT count(*) FROM circle_members m WHERE m.circle_id = c.id AND m.left_at IS NULL) AS member_count,
       c.tasks_pending + c.tasks_active + c.tasks_completed + c.tasks_failed AS task_count
FROM circles c
WHERE $1::boolean IS NULL OR (c.deleted_at IS NULL) = $1
ORDER BY c.id DESC
LIMIT $2;

-- name: dashboard_circle_by_id
SELECT c.id, c.name, c.name AS display_name, NULL::text AS description, c.created_by AS owner_id,
       '{}'::text AS settings, c.require_review, 1::bigint AS min_reviewers, true AS auto_assign_reviewer,
       false AS self_review_allowed, true AS escalate_on_reject, '{}'::text AS review_policy, c.auto_route,
       c.status, c.deleted_at IS NULL AS is_active, c.created_at, c.updated_at, c.started_at, c.stopped_at,
       NULL::bigint AS project_id,
       (SELECT count(*) FROM circle_members m WHERE m.circle_id = c.id AND m.left_at IS NULL) AS member_count,
       c.tasks_pending + c.tasks_active + c.tasks_completed + c.tasks_failed AS task_count
FROM circles c
WHERE c.id = $1;

-- name: dashboard_members
SELECT m.id, m.circle_id, m.agent_id, 'member' AS role, '{}'::text AS permissions, m.competencies,
       m.can_review, m.left_at IS NULL AS is_active, m.joined_at, m.left_at, m.name AS agent_name,
       a.role AS agent_role
FROM circle_members m
LEFT JOIN agents a ON a.id = m.agent_ref
WHERE m.circle_id = $1 AND m.left_at IS NULL
ORDER BY m.id
LIMIT $2;

-- The four words for a priority are the nearest ones of those tasks are made with.
-- name: dashboard_tasks
SELECT t.number AS id, t.circle_id, NULL::bigint AS project_id, t.title, t.description,
       'general' AS task_type,
       CASE WHEN t.priority <= 2 THEN 'critical' WHEN t.priority <= 4 THEN 'high'
            WHEN t.priority <= 6 THEN 'medium' ELSE 'low' END AS priority,
       t.status, t.required_competencies, c.require_review AS requires_review,
       '{quality}'::text[] AS review_types, '{}'::text AS context, t.result, '{}'::text[] AS artifacts,
       ARRAY(SELECT f.path FROM task_files f WHERE f.task_id = t.id ORDER BY f.path) AS files_modified,
       t.assigned_agent_id, NULL::bigint AS parent_task_id, NULL::bigint AS conversation_id,
       NULL::bigint AS created_by_agent_id, t.created_by AS created_by_user_id, t.created_at, t.updated_at,
       t.started_at, t.completed_at, NULL::timestamptz AS due_at, m.name AS assigned_agent_name
FROM tasks t
JOIN circles c ON c.id = t.circle_id
LEFT JOIN circle_members m ON m.circle_id = t.circle_id AND m.agent_id = t.assigned_agent_id
WHERE t.circle_id = $1 AND ($2::text IS NULL OR t.status = $2)
ORDER BY t.number
LIMIT $3;
