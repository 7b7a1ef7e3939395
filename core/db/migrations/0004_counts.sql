-- A circle's tasks are counted where they change, under the circle's lock, so that showing a circle costs
-- the same however many tasks it has had.
ALTER TABLE circles
  ADD COLUMN tasks_pending   integer NOT NULL DEFAULT 0 CHECK (tasks_pending >= 0),
  ADD COLUMN tasks_active    integer NOT NULL DEFAULT 0 CHECK (tasks_active >= 0),  -- or in review
  ADD COLUMN tasks_completed integer NOT NULL DEFAULT 0 CHECK (tasks_completed >= 0),
  ADD COLUMN tasks_failed    integer NOT NULL DEFAULT 0 CHECK (tasks_failed >= 0);

UPDATE circles c
SET tasks_pending = t.pending, tasks_active = t.active, tasks_completed = t.completed, tasks_failed = t.failed
FROM (SELECT circle_id,
             count(*) FILTER (WHERE status = 'pending') AS pending,
             count(*) FILTER (WHERE status IN ('assigned', 'in_progress', 'in_review')) AS active,
             count(*) FILTER (WHERE status = 'completed') AS completed,
             count(*) FILTER (WHERE status = 'failed') AS failed
      FROM tasks GROUP BY circle_id) t
WHERE t.circle_id = c.id;

-- Sessions are judged by the program now: planning and starting this view took the server longer than
-- finding the agent.
DROP VIEW agent_sessions;
