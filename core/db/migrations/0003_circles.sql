-- Circles, their members, and the tasks they work on.
--
-- created_by and changed_by are users' public ids and no foreign keys: what was done outlives who did it.
-- updated_at is set by the statements that change a row; no triggers.

CREATE TABLE circles (
  id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name                 text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  status               text NOT NULL DEFAULT 'stopped'
                       CHECK (status IN ('stopped', 'starting', 'running', 'stopping')),
  require_review       boolean NOT NULL DEFAULT true,
  auto_route           boolean NOT NULL DEFAULT true,
  -- At most so many tasks are assigned or in progress at once; the others stay pending.
  max_concurrent_tasks integer NOT NULL DEFAULT 5 CHECK (max_concurrent_tasks BETWEEN 1 AND 1000),
  next_task_number     integer NOT NULL DEFAULT 1 CHECK (next_task_number >= 1),
  created_by           text NOT NULL,
  created_at           timestamptz NOT NULL DEFAULT now(),
  updated_at           timestamptz NOT NULL DEFAULT now(),
  started_at           timestamptz,    -- of the latest start
  stopped_at           timestamptz,
  deleted_at           timestamptz     -- kept for the history; the name is free again
);

CREATE UNIQUE INDEX circles_active_name ON circles (name) WHERE deleted_at IS NULL;

-- A member is added by an id and a name of the caller's choice, and need not be an agent of ours:
-- so a member carries its own name, provider and model, and agent_ref ties it to the agents where
-- one with that id exists.  Members who leave keep their row for the tasks that name them.
CREATE TABLE circle_members (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  circle_id       bigint NOT NULL REFERENCES circles (id) ON DELETE CASCADE,
  agent_id        bigint NOT NULL,
  agent_ref       bigint REFERENCES agents (id) ON DELETE SET NULL,
  name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  provider        text NOT NULL,
  model           text NOT NULL,
  competencies    text[] NOT NULL DEFAULT '{}',
  can_review      text[] NOT NULL DEFAULT '{}',
  joined_at       timestamptz NOT NULL DEFAULT now(),
  left_at         timestamptz,  -- NULL: an active member
  last_active_at  timestamptz,
  -- Counted here and not from the tasks: routing reads them for every new task.
  tasks_completed integer NOT NULL DEFAULT 0 CHECK (tasks_completed >= 0),
  tasks_failed    integer NOT NULL DEFAULT 0 CHECK (tasks_failed >= 0),
  results_passed  integer NOT NULL DEFAULT 0 CHECK (results_passed >= 0),    -- approved by a reviewer
  results_refused integer NOT NULL DEFAULT 0 CHECK (results_refused >= 0),   -- sent back by one
  reviews_done    integer NOT NULL DEFAULT 0 CHECK (reviews_done >= 0),      -- as the reviewer
  UNIQUE (circle_id, agent_id),
  CHECK (agent_ref IS NULL OR agent_ref = agent_id)
);

CREATE INDEX circle_members_agent_ref ON circle_members (agent_ref) WHERE agent_ref IS NOT NULL;

CREATE TABLE tasks (
  id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  circle_id             bigint NOT NULL REFERENCES circles (id) ON DELETE CASCADE,
  number                integer NOT NULL CHECK (number >= 1),  -- what the API calls the task's id
  title                 text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 500),
  description           text NOT NULL DEFAULT '',
  status                text NOT NULL DEFAULT 'pending'
                        CHECK (status IN ('pending', 'assigned', 'in_progress', 'in_review', 'completed',
                                          'failed')),
  priority              integer NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 10),  -- 1 first
  required_competencies text[] NOT NULL DEFAULT '{}',
  -- Of a pending task: the member it waits for; otherwise the member it belongs to.
  assigned_agent_id     bigint,
  reviewer_id           bigint,
  result                text,
  iteration             integer NOT NULL DEFAULT 1 CHECK (iteration >= 1),  -- one more for each refusal
  created_by            text NOT NULL,
  created_at            timestamptz NOT NULL DEFAULT now(),
  updated_at            timestamptz NOT NULL DEFAULT now(),
  assigned_at           timestamptz,
  started_at            timestamptz,
  completed_at          timestamptz,  -- or failed
  UNIQUE (circle_id, number),
  FOREIGN KEY (circle_id, assigned_agent_id) REFERENCES circle_members (circle_id, agent_id),
  FOREIGN KEY (circle_id, reviewer_id) REFERENCES circle_members (circle_id, agent_id),
  CHECK (assigned_agent_id IS NOT NULL OR status = 'pending'),
  CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed')))
);

CREATE INDEX tasks_circle_status ON tasks (circle_id, status);
-- The tasks that routing can ever give to somebody, in its order.
CREATE INDEX tasks_routable ON tasks (circle_id, priority, number)
  WHERE status = 'pending' AND (assigned_agent_id IS NOT NULL OR required_competencies <> '{}');
CREATE INDEX tasks_active ON tasks (circle_id, assigned_agent_id)
  WHERE status IN ('assigned', 'in_progress', 'in_review');

-- Every change of a task's status, oldest first by id.
CREATE TABLE task_history (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id     bigint NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  from_status text,            -- NULL: the task was created
  to_status   text NOT NULL,
  agent_id    bigint,          -- the member who did it or got the task, where there is one
  changed_by  text NOT NULL,
  comment     text NOT NULL DEFAULT '',
  changed_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX task_history_task ON task_history (task_id, id);

-- The files a task's latest result touches.
CREATE TABLE task_files (
  task_id bigint NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  path    text NOT NULL CHECK (char_length(path) BETWEEN 1 AND 1000),
  PRIMARY KEY (task_id, path)
);

-- Two open tasks of one circle touch one file.  Resolved when either ends or lets go of the file.
CREATE TABLE conflicts (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  circle_id      bigint NOT NULL REFERENCES circles (id) ON DELETE CASCADE,
  first_task_id  bigint NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  second_task_id bigint NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  path           text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now(),
  resolved_at    timestamptz,
  CHECK (first_task_id < second_task_id)
);

CREATE UNIQUE INDEX conflicts_open ON conflicts (first_task_id, second_task_id, path)
  WHERE resolved_at IS NULL;
CREATE INDEX conflicts_circle ON conflicts (circle_id);
CREATE INDEX conflicts_second_task ON conflicts (second_task_id);
