ALTER TABLE circles
  DROP COLUMN tasks_pending,
  DROP COLUMN tasks_active,
  DROP COLUMN tasks_completed,
  DROP COLUMN tasks_failed;
CREATE VIEW agent_sessions AS
SELECT a.id AS agent_id,
       coalesce(a.last_active_at, a.created_at) AS last_activity,
       CASE WHEN age.seconds < 3600 THEN 'active' ELSE 'idle' END AS status,
       age.seconds >= 3600 AND (a.current_task_id IS NOT NULL OR a.pending_actions <> '{}') AS needs_resume,
       CASE
         WHEN age.seconds < 60 THEN 'quelques secondes'
         WHEN age.seconds < 120 THEN '1 minute'
         WHEN age.seconds < 3600 THEN floor(age.seconds / 60) || ' minutes'
         WHEN age.seconds < 7200 THEN '1 heure'
         WHEN age.seconds < 86400 THEN floor(age.seconds / 3600) || ' heures'
         WHEN age.seconds < 172800 THEN '1 jour'
         ELSE floor(age.seconds / 86400) || ' jours'
       END AS time_since,
       a.pending_actions,
       (SELECT coalesce(json_agg(f.path ORDER BY f.touched_at, f.path), '[]')
        FROM agent_working_files f
        WHERE f.agent_id = a.id) AS working_files,
       CASE WHEN a.current_task_id IS NOT NULL
            THEN json_build_object('id', a.current_task_id, 'title', a.current_task_title,
                                   'progress', a.current_task_progress)
       END AS current_task
FROM agents a
CROSS JOIN LATERAL (
  SELECT extract(epoch FROM now() - coalesce(a.last_active_at, a.created_at)) AS seconds
) age;
