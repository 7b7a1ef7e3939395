-- name: task_add
WITH counted AS (
    UPDATE circles SET next_task_number = next_task_number + 1, tasks_pending = tasks_pending + 1 WHERE id = $1
    RETURNING name, next_task_number - 1 AS number
), added AS (
    INSERT INTO tasks (circle_id, number, title, description, priority, required_competencies,
                       assigned_agent_id, created_by)
    SELECT $1, number, $2, $3, $4, $5, $6, $7 FROM counted
    RETURNING id, number
), noted AS (
    INSERT INTO task_history (task_id, to_status, changed_by) SELECT id, 'pending', $7 FROM added
), told AS (
    INSERT INTO events (type, circle_id, data)
    SELECT 'task.created', $1,
           jsonb_build_object('circle', counted.name, 'task_id', added.number, 'title', $2, 'priority', $4)
    FROM added, counted
)
SELECT number FROM added;

-- name: task_add_waiting
-- A task that nobody is to get now: numbered, added and noted at once, if the circle runs.
WITH counted AS (
    UPDATE circles SET next_task_number = next_task_number + 1, tasks_pending = tasks_pending + 1
    WHERE name = $1 AND deleted_at IS NULL AND status = 'running'
    RETURNING id, name, next_task_number - 1 AS number
), added AS (
    INSERT INTO tasks (circle_id, number, title, description, priority, created_by)
    SELECT id, number, $2, $3, $4, $5 FROM counted
    RETURNING id, number, created_at
), noted AS (
    INSERT INTO task_history (task_id, to_status, changed_by) SELECT id, 'pending', $5 FROM added
), told AS (
    INSERT INTO events (type, circle_id, data)
    SELECT 'task.created', counted.id,
           jsonb_build_object('circle', counted.name, 'task_id', added.number, 'title', $2, 'priority', $4)
    FROM added, counted
)
SELECT number, created_at FROM added;

-- name: task_assign_next
-- Gives the most urgent task that somebody can take to whoever suits it best.  The urgency of a task
-- weighs equally on all who could take it, so it orders the tasks and not the members.  No task is looked at
-- when the circle has its fill (hence LATERAL with a limit, which is not taken apart).
WITH slot AS (
    SELECT c.id, c.name, c.auto_route FROM circles c
    WHERE c.id = $1 AND c.status = 'running'
      AND (SELECT count(*) FROM tasks WHERE circle_id = c.id AND status IN ('assigned', 'in_progress'))
          < c.max_concurrent_tasks
), next AS (
    SELECT t.*
    FROM slot CROSS JOIN LATERAL (
        SELECT id, assigned_agent_id, required_competencies FROM tasks
        WHERE circle_id = slot.id AND status = 'pending'
          AND (assigned_agent_id IS NOT NULL OR required_competencies <> '{}')
          AND (assigned_agent_id IS NOT NULL
               OR slot.auto_route AND EXISTS (SELECT FROM circle_members m
                                              WHERE m.circle_id = slot.id AND m.left_at IS NULL
                                                AND m.competencies && required_competencies))
        ORDER BY priority, number LIMIT 1) t
), best AS (
    SELECT next.id, m.agent_id
    FROM next JOIN circle_members m ON m.circle_id = $1 AND m.left_at IS NULL
    CROSS JOIN LATERAL (SELECT count(*)::float8 / nullif(cardinality(next.required_competencies), 0) AS share
                        FROM unnest(next.required_competencies) AS wanted
                        WHERE wanted = ANY (m.competencies)) fit
    CROSS JOIN LATERAL (SELECT count(*)::float8 AS tasks FROM tasks
                        WHERE circle_id = $1 AND assigned_agent_id = m.agent_id
                          AND status IN ('assigned', 'in_progress', 'in_review')) work
    WHERE m.agent_id = next.assigned_agent_id OR next.assigned_agent_id IS NULL AND fit.share > 0
    ORDER BY fit.share * 0.8 * 0.5 + (1 - work.tasks / 5) * 0.3
             + coalesce(m.results_passed::float8 / nullif(m.results_passed + m.results_refused, 0), 0) * 0.2
             DESC,
             m.agent_id
    LIMIT 1
), assigned AS (
    UPDATE tasks t
    SET status = 'assigned', assigned_agent_id = best.agent_id, assigned_at = now(), updated_at = now()
    FROM best WHERE t.id = best.id AND t.status = 'pending'
    RETURNING t.id, t.number, t.title, t.assigned_agent_id
), counted AS (
    UPDATE circles SET tasks_pending = tasks_pending - 1, tasks_active = tasks_active + 1
    WHERE id = $1 AND EXISTS (SELECT FROM assigned)
), told AS (
    INSERT INTO events (type, circle_id, source_agent_id, data)
    SELECT task_event('assigned'), $1, a.assigned_agent_id,
           jsonb_build_object('circle', slot.name, 'task_id', a.number, 'title', a.title)
    FROM assigned a, slot
)
INSERT INTO task_history (task_id, from_status, to_status, agent_id, changed_by)
SELECT id, 'pending', 'assigned', assigned_agent_id, $2 FROM assigned
RETURNING task_id;

-- name: task_release
-- The tasks of a member who left go back to the others; results under review stay there.
WITH freed AS (
    SELECT id, status FROM tasks
    WHERE circle_id = $1 AND assigned_agent_id = $2 AND status IN ('pending', 'assigned', 'in_progress')
), released AS (
    UPDATE tasks t SET status = 'pending', assigned_agent_id = NULL, assigned_at = NULL, updated_at = now()
    FROM freed WHERE t.id = freed.id AND t.status = freed.status
    RETURNING t.id, t.number, t.title, freed.status
), counted AS (
    UPDATE circles c SET tasks_pending = c.tasks_pending + r.count, tasks_active = c.tasks_active - r.count
    FROM (SELECT count(*) FROM released WHERE status <> 'pending') r WHERE c.id = $1
    RETURNING c.name
), told AS (
    INSERT INTO events (type, circle_id, source_agent_id, data)
    SELECT task_event('pending'), $1, $2,
           jsonb_build_object('circle', counted.name, 'task_id', r.number, 'title', r.title)
    FROM released r, counted WHERE r.status <> 'pending' ORDER BY r.number
)
INSERT INTO task_history (task_id, from_status, to_status, agent_id, changed_by, comment)
SELECT id, status, 'pending', $2, $3, 'the member left the circle' FROM released WHERE status <> 'pending';

-- name: task_list
SELECT t.number AS id, t.title, t.description, t.status, t.priority, t.assigned_agent_id,
       a.name AS assigned_agent_name, t.reviewer_id, r.name AS reviewer_name, t.created_at, t.started_at,
       t.completed_at, t.result, count(*) OVER () AS total
FROM circles c
JOIN tasks t ON t.circle_id = c.id
LEFT JOIN circle_members a ON a.circle_id = c.id AND a.agent_id = t.assigned_agent_id
LEFT JOIN circle_members r ON r.circle_id = c.id AND r.agent_id = t.reviewer_id
WHERE c.name = $1 AND c.deleted_at IS NULL AND ($2::text IS NULL OR t.status = $2)
ORDER BY t.number
LIMIT $3 OFFSET $4;

-- name: task_count
SELECT count(*) FROM tasks WHERE circle_id = $1 AND ($2::text IS NULL OR status = $2);

-- name: task_get
SELECT t.number AS id, t.title, t.description, t.status, t.priority, t.assigned_agent_id,
       a.name AS assigned_agent_name, t.reviewer_id, r.name AS reviewer_name, t.created_at, t.started_at,
       t.completed_at, t.result
FROM circles c
JOIN tasks t ON t.circle_id = c.id
LEFT JOIN circle_members a ON a.circle_id = c.id AND a.agent_id = t.assigned_agent_id
LEFT JOIN circle_members r ON r.circle_id = c.id AND r.agent_id = t.reviewer_id
WHERE c.name = $1 AND c.deleted_at IS NULL AND t.number = $2::bigint;

-- name: task_state
-- What a change of one task has to know; read after the circle's lock is held.
SELECT t.id, t.status, t.iteration, t.assigned_agent_id,
       (m.left_at IS NULL AND m.id IS NOT NULL) AS assignee_active
FROM tasks t
LEFT JOIN circle_members m ON m.circle_id = t.circle_id AND m.agent_id = t.assigned_agent_id
WHERE t.circle_id = $1 AND t.number = $2::bigint;

-- name: task_member_active
SELECT EXISTS (SELECT FROM circle_members WHERE circle_id = $1 AND agent_id = $2 AND left_at IS NULL);

-- name: task_move
WITH moved AS (
    UPDATE tasks
    SET status = $3::text,
        result = coalesce($4, result),
        reviewer_id = coalesce($5, reviewer_id),
        iteration = iteration + CASE WHEN $2 = 'in_review' AND $3 <> 'completed' THEN 1 ELSE 0 END,
        assigned_agent_id = CASE WHEN $3 = 'pending' THEN NULL ELSE assigned_agent_id END,
        started_at = coalesce(started_at, assigned_at),
        completed_at = CASE WHEN $3 IN ('completed', 'failed') THEN now() END,
        updated_at = now()
    WHERE id = $1 AND status = $2::text
    RETURNING id, circle_id, number, title
), counted AS (
    UPDATE circles c
    SET tasks_pending = c.tasks_pending + ($3 = 'pending')::int - ($2 = 'pending')::int,
        tasks_active = c.tasks_active + ($3 IN ('assigned', 'in_progress', 'in_review'))::int
                       - ($2 IN ('assigned', 'in_progress', 'in_review'))::int,
        tasks_completed = c.tasks_completed + ($3 = 'completed')::int,
        tasks_failed = c.tasks_failed + ($3 = 'failed')::int
    FROM moved WHERE c.id = moved.circle_id
    RETURNING c.name
), told AS (
    INSERT INTO events (type, circle_id, source_agent_id, data)
    SELECT task_event($3), moved.circle_id, $6,
           jsonb_build_object('circle', counted.name, 'task_id', moved.number, 'title', moved.title,
                              'from_status', $2::text)
    FROM moved, counted
)
INSERT INTO task_history (task_id, from_status, to_status, agent_id, changed_by, comment)
SELECT id, $2, $3, $6, $7, $8 FROM moved
RETURNING task_id;

-- name: task_tally_assignee
UPDATE circle_members
SET tasks_completed = tasks_completed + $3, tasks_failed = tasks_failed + $4,
    results_passed = results_passed + $5, results_refused = results_refused + $6
WHERE circle_id = $1 AND agent_id = $2;

-- name: task_tally_reviewer
UPDATE circle_members SET reviews_done = reviews_done + 1, last_active_at = now()
WHERE circle_id = $1 AND agent_id = $2;

-- name: task_note_activity
UPDATE circle_members SET last_active_at = now() WHERE circle_id = $1 AND agent_id = $2;

-- name: task_files_set
WITH let_go AS (
    DELETE FROM task_files WHERE task_id = $1 AND path <> ALL ($2::text[])
), resolved AS (
    UPDATE conflicts SET resolved_at = now()
    WHERE resolved_at IS NULL AND (first_task_id = $1 OR second_task_id = $1) AND path <> ALL ($2::text[])
)
INSERT INTO task_files (task_id, path) SELECT $1, path FROM unnest($2::text[]) AS path
ON CONFLICT DO NOTHING;

-- name: task_conflicts_note
WITH found AS (
    INSERT INTO conflicts (circle_id, first_task_id, second_task_id, path)
    SELECT o.circle_id, least(o.id, mine.task_id), greatest(o.id, mine.task_id), mine.path
    FROM task_files mine
    JOIN tasks t ON t.id = mine.task_id
    JOIN tasks o ON o.circle_id = t.circle_id AND o.id <> t.id
                 AND o.status IN ('assigned', 'in_progress', 'in_review')
    JOIN task_files theirs ON theirs.task_id = o.id AND theirs.path = mine.path
    WHERE mine.task_id = $1
    ON CONFLICT (first_task_id, second_task_id, path) WHERE resolved_at IS NULL DO NOTHING
    RETURNING circle_id, first_task_id, second_task_id, path
)
INSERT INTO events (type, circle_id, data)
SELECT 'task.conflict.detected', found.circle_id,
       jsonb_build_object('circle', c.name, 'path', found.path, 'task_ids', jsonb_build_array(a.number, b.number))
FROM found
JOIN circles c ON c.id = found.circle_id
JOIN tasks a ON a.id = found.first_task_id
JOIN tasks b ON b.id = found.second_task_id;

-- name: task_conflicts_end
UPDATE conflicts SET resolved_at = now()
WHERE resolved_at IS NULL AND (first_task_id = $1 OR second_task_id = $1);
