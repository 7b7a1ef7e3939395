-- What a team is made of: providers and their models, personas, agents and their skills.
--
-- updated_at is set by the statements that change a row; no triggers.

CREATE TABLE providers (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 50 AND name = lower(name)),
  api_base_url text CHECK (char_length(api_base_url) <= 255),
  api_type     text CHECK (char_length(api_type) BETWEEN 1 AND 50),
  is_local     boolean NOT NULL DEFAULT false,
  created_at   timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT providers_name_key UNIQUE (name)
);

-- Prices are US dollars for a million tokens.
CREATE TABLE models (
  id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  provider_id         bigint NOT NULL REFERENCES providers (id) ON DELETE RESTRICT,
  model_name          text NOT NULL CHECK (char_length(model_name) BETWEEN 1 AND 100),
  model_alias         text CHECK (char_length(model_alias) <= 50),
  pricing_in          numeric(10, 4) CHECK (pricing_in >= 0),
  pricing_out         numeric(10, 4) CHECK (pricing_out >= 0),
  pricing_cache_read  numeric(10, 4) CHECK (pricing_cache_read >= 0),
  pricing_cache_write numeric(10, 4) CHECK (pricing_cache_write >= 0),
  extended_thinking   boolean NOT NULL DEFAULT false,
  vision              boolean NOT NULL DEFAULT false,
  function_calling    boolean NOT NULL DEFAULT true,
  streaming           boolean NOT NULL DEFAULT true,
  context_window      bigint CHECK (context_window > 0),
  max_output          bigint CHECK (max_output > 0),
  release_date        date,
  is_deprecated       boolean NOT NULL DEFAULT false,
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT models_provider_id_model_name_key UNIQUE (provider_id, model_name)
);

-- A persona is a template: an agent made from it takes a copy and goes its own way.
CREATE TABLE personas (
  id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  display_name        text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 100),
  role                text NOT NULL CHECK (char_length(role) BETWEEN 1 AND 200),
  base_prompt         text CHECK (char_length(base_prompt) <= 100000),
  full_prompt         text CHECK (char_length(full_prompt) <= 100000),
  traits              text[] NOT NULL DEFAULT '{}' CHECK (cardinality(traits) <= 100),
  communication_style text NOT NULL DEFAULT 'balanced' CHECK (char_length(communication_style) <= 50),
  specializations     text[] NOT NULL DEFAULT '{}' CHECK (cardinality(specializations) <= 100),
  languages           text[] NOT NULL DEFAULT '{}' CHECK (cardinality(languages) <= 100),
  motto               text CHECK (char_length(motto) <= 1000),
  description         text CHECK (char_length(description) <= 10000),
  icon                text CHECK (char_length(icon) <= 50),
  work_ethic          text[] CHECK (cardinality(work_ethic) <= 100),
  collaboration_notes text CHECK (char_length(collaboration_notes) <= 10000),
  default_model_id    bigint REFERENCES models (id) ON DELETE SET NULL,
  is_builtin          boolean NOT NULL DEFAULT false,
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT personas_display_name_key UNIQUE (display_name)
);
CREATE INDEX personas_default_model_id_idx ON personas (default_model_id) WHERE default_model_id IS NOT NULL;

-- An agent may run on a model nobody has entered: its provider and model are kept as the texts they
-- were given as, and model_id refers to the catalogue's row where there is one.  Deleting that row
-- leaves the texts.  What an agent has achieved is counted where it works, in its circles.
CREATE TABLE agents (
  id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name                  text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  role                  text NOT NULL CHECK (char_length(role) BETWEEN 1 AND 200),
  persona_id            bigint REFERENCES personas (id) ON DELETE SET NULL,
  base_prompt           text CHECK (char_length(base_prompt) <= 100000),
  traits                text[] NOT NULL DEFAULT '{}' CHECK (cardinality(traits) <= 100),
  communication_style   text NOT NULL DEFAULT 'balanced' CHECK (char_length(communication_style) <= 50),
  specializations       text[] NOT NULL DEFAULT '{}' CHECK (cardinality(specializations) <= 100),
  languages             text[] NOT NULL DEFAULT '{fr,en}' CHECK (cardinality(languages) <= 100),
  motto                 text CHECK (char_length(motto) <= 1000),
  model_id              bigint REFERENCES models (id) ON DELETE SET NULL,
  provider_name         text NOT NULL CHECK (char_length(provider_name) BETWEEN 1 AND 50),
  model_name            text NOT NULL CHECK (char_length(model_name) BETWEEN 1 AND 100),
  max_tokens            bigint NOT NULL DEFAULT 4096 CHECK (max_tokens > 0),
  temperature           double precision NOT NULL DEFAULT 0.7 CHECK (temperature BETWEEN 0 AND 2),
  -- Empty: the specializations are the competencies.
  competencies          text[] NOT NULL DEFAULT '{}' CHECK (cardinality(competencies) <= 100),
  can_review            text[] NOT NULL DEFAULT '{}' CHECK (cardinality(can_review) <= 100),
  review_strictness     double precision NOT NULL DEFAULT 0.7 CHECK (review_strictness BETWEEN 0 AND 1),
  status                text NOT NULL DEFAULT 'idle' CHECK (status IN ('idle', 'busy', 'offline')),
  -- The session: what the agent is at.  The task may be one of a circle's or anything the caller counts.
  current_task_id       bigint,
  current_task_title    text CHECK (char_length(current_task_title) BETWEEN 1 AND 500),
  current_task_progress text CHECK (char_length(current_task_progress) <= 200),
  pending_actions       text[] NOT NULL DEFAULT '{}' CHECK (cardinality(pending_actions) <= 100),
  last_active_at        timestamptz,
  created_at            timestamptz NOT NULL DEFAULT now(),
  updated_at            timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT agents_current_task_whole
    CHECK (num_nulls(current_task_id, current_task_title, current_task_progress) IN (0, 3))
);
CREATE INDEX agents_model_id_idx ON agents (model_id) WHERE model_id IS NOT NULL;
CREATE INDEX agents_persona_id_idx ON agents (persona_id) WHERE persona_id IS NOT NULL;

-- The files an agent works on; only the newest are kept (agents::kWorkingFilesMax).
CREATE TABLE agent_working_files (
  agent_id   bigint NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  path       text NOT NULL CHECK (char_length(path) BETWEEN 1 AND 1000),
  touched_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (agent_id, path)
);

-- What each agent is at, and since when in words.  An hour without activity makes a session idle; one
-- that left something unfinished waits to be resumed.
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

CREATE TABLE skills (
  id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name                 text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_-]{0,49}$'),
  display_name         text NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 100),
  description          text NOT NULL CHECK (char_length(description) <= 1000),
  category             text NOT NULL DEFAULT 'general' CHECK (char_length(category) BETWEEN 1 AND 50),
  required_permissions text[] NOT NULL DEFAULT '{}',
  tools_count          integer NOT NULL DEFAULT 0 CHECK (tools_count >= 0),
  version              text NOT NULL DEFAULT '1.0.0' CHECK (char_length(version) BETWEEN 1 AND 20),
  is_dangerous         boolean NOT NULL DEFAULT false,
  is_enabled           boolean NOT NULL DEFAULT true,
  created_at           timestamptz NOT NULL DEFAULT now(),
  updated_at           timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT skills_name_key UNIQUE (name)
);

-- An agent's skills in the order they were given.
CREATE TABLE agent_skills (
  agent_id bigint NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  skill_id bigint NOT NULL REFERENCES skills (id) ON DELETE CASCADE,
  position integer NOT NULL CHECK (position > 0),
  added_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (agent_id, skill_id)
);
CREATE INDEX agent_skills_skill_id_idx ON agent_skills (skill_id);

INSERT INTO providers (name, api_base_url, is_local) VALUES
  ('anthropic', 'https://api.anthropic.com', false),
  ('openai', 'https://api.openai.com', false),
  ('deepseek', 'https://api.deepseek.com', false),
  ('mistral', 'https://api.mistral.ai', false),
  ('google', 'https://generativelanguage.googleapis.com', false),
  ('ollama', 'http://localhost:11434', true);

INSERT INTO models (provider_id, model_name, model_alias, pricing_in, pricing_out, pricing_cache_read,
                    pricing_cache_write, extended_thinking, vision, function_calling, context_window,
                    max_output, release_date)
SELECT p.id, m.model_name, m.model_alias, m.pricing_in, m.pricing_out, m.pricing_cache_read,
       m.pricing_cache_write, m.extended_thinking, m.vision, m.function_calling, m.context_window,
       m.max_output, m.release_date::date
FROM (VALUES
  (1, 'anthropic', 'claude-opus-4-5-20250514', 'Opus 4.5', 15, 75, 1.5, 18.75, true, true, true, 200000,
   32000, '2025-05-14'),
  (2, 'anthropic', 'claude-sonnet-4-5-20250514', 'Sonnet 4.5', 3, 15, 0.3, 3.75, true, true, true, 200000,
   16000, '2025-05-14'),
  (3, 'anthropic', 'claude-sonnet-4-20250514', 'Sonnet 4', 3, 15, 0.3, 3.75, false, true, true, 200000,
   16000, '2025-05-14'),
  (4, 'anthropic', 'claude-3-5-haiku-20241022', 'Haiku 3.5', 0.8, 4, 0.08, 1, false, true, true, 200000,
   8192, '2024-10-22'),
  (5, 'openai', 'gpt-4o', 'GPT-4o', 2.5, 10, 1.25, NULL, false, true, true, 128000, 16384, '2024-05-13'),
  (6, 'openai', 'gpt-4o-mini', 'GPT-4o mini', 0.15, 0.6, 0.075, NULL, false, true, true, 128000, 16384,
   '2024-07-18'),
  (7, 'openai', 'gpt-4.1', 'GPT-4.1', 2, 8, 0.5, NULL, false, true, true, 1047576, 32768, '2025-04-14'),
  (8, 'openai', 'o1', 'o1', 15, 60, 7.5, NULL, true, true, true, 200000, 100000, '2024-12-17'),
  (9, 'openai', 'o3-mini', 'o3-mini', 1.1, 4.4, 0.55, NULL, true, false, true, 200000, 100000, '2025-01-31'),
  (10, 'deepseek', 'deepseek-chat', 'DeepSeek V3', 0.27, 1.1, 0.07, NULL, false, false, true, 64000, 8192,
   '2024-12-26'),
  (11, 'deepseek', 'deepseek-reasoner', 'DeepSeek R1', 0.55, 2.19, 0.14, NULL, true, false, true, 64000,
   8192, '2025-01-20'),
  (12, 'deepseek', 'deepseek-coder', 'DeepSeek Coder', 0.14, 0.28, NULL, NULL, false, false, true, 128000,
   4096, '2024-06-17'),
  (13, 'mistral', 'mistral-large-latest', 'Mistral Large', 2, 6, NULL, NULL, false, false, true, 128000,
   NULL, '2024-11-18'),
  (14, 'mistral', 'codestral-latest', 'Codestral', 0.3, 0.9, NULL, NULL, false, false, true, 256000, NULL,
   '2025-01-13'),
  (15, 'google', 'gemini-1.5-pro', 'Gemini 1.5 Pro', 1.25, 5, NULL, NULL, false, true, true, 2097152, 8192,
   '2024-05-14'),
  (16, 'google', 'gemini-2.0-flash', 'Gemini 2.0 Flash', 0.1, 0.4, NULL, NULL, false, true, true, 1048576,
   8192, '2025-02-05'),
  (17, 'ollama', 'llama3.2', 'Llama 3.2', 0, 0, NULL, NULL, false, false, true, 128000, NULL, '2024-09-25'),
  (18, 'ollama', 'qwen2.5-coder', 'Qwen 2.5 Coder', 0, 0, NULL, NULL, false, false, true, 32768, NULL,
   '2024-11-12')
) AS m (place, provider, model_name, model_alias, pricing_in, pricing_out, pricing_cache_read,
pricing_cache_write,
        extended_thinking, vision, function_calling, context_window, max_output, release_date)
JOIN providers p ON p.name = m.provider
ORDER BY m.place;

INSERT INTO personas (display_name, role, base_prompt, traits, communication_style, specializations,
languages,
                      description, is_builtin) VALUES
  ('Architect', 'Software Architect',
   'You look after the shape of the whole system. Weigh each design against its load, its failures and the '
   'people who will maintain it; say what you decided, what you gave up for it, and why.',
   '{far-sighted,rigorous,patient}', 'detailed', '{architecture,security,design-patterns}', '{en}',
   'Designs systems and guards their coherence.', true),
  ('Senior Developer', 'Senior Developer',
   'You turn a clear task into working, tested code in small steps. Prefer the plain solution, leave the '
   'code around it better than you found it, and ask when a requirement can be read in two ways.',
   '{pragmatic,thorough,cooperative}', 'balanced', '{python,testing,api}', '{en}',
   'Builds features and keeps them working.', true),
  ('Debugger', 'Code Specialist',
   'You find the cause before you touch the symptom. Reproduce the fault, narrow it down, measure instead of '
   'guessing, and prove the repair with a test that failed before.',
   '{analytical,precise,persistent}', 'technical', '{algorithms,optimization,debugging}', '{en}',
   'Hunts down faults and slow code.', true),
  ('Quality Engineer', 'Quality Engineer',
   'You look for the ways a thing can break that its author did not think of. Turn each one into a test '
   'whose name is the fact it proves, and report the rest by how much it would hurt.',
   '{sceptical,methodical,fair}', 'concise', '{testing,automation,quality}', '{en}',
   'Tests what others have made.', true),
  ('Operations Engineer', 'Operations Engineer',
   'You keep services running and changes reversible. Automate what is done twice, watch what matters to '
   'users, and write down what to do at three in the morning.',
   '{calm,careful,systematic}', 'concise', '{deployment,monitoring,infrastructure}', '{en}',
   'Ships software and keeps it up.', true),
  ('Technical Writer', 'Technical Writer',
   'You explain software to the person who has to use it today. Start with the task, show a real example, '
   'name the limits, and cut every sentence that does no work.',
   '{clear,curious,concise}', 'detailed', '{documentation,tutorials,api}', '{en}',
   'Writes what users read.', true);

INSERT INTO skills (name, display_name, description, category, required_permissions, is_dangerous,
tools_count)
VALUES
  ('git', 'Git', 'Work with repositories: history, branches, commits', 'core', '{git,read,write}', false, 13),
  ('test', 'Test Runner', 'Run test suites and read their coverage', 'core', '{execute,read}', false, 7),
  ('filesystem', 'File System', 'Read, write and search files', 'core', '{read,write}', false, 10),
  ('code', 'Code', 'Run and check snippets of code', 'code', '{execute,read}', false, 8),
  ('analysis', 'Analysis', 'Inspect a code base for structure and faults', 'code', '{read}', false, 0),
  ('web', 'Web Search', 'Search the web', 'web', '{network}', false, 0),
  ('scraper', 'Scraper', 'Extract text and data from web pages', 'web', '{network}', false, 0),
  ('http', 'HTTP', 'Call HTTP interfaces', 'web', '{network}', false, 8),
  ('shell', 'Shell', 'Run commands in a shell', 'system', '{execute}', true, 0),
  ('database', 'Database', 'Query and describe databases', 'system', '{read,write}', true, 0),
  ('deploy', 'Deploy', 'Release and roll back services', 'system', '{execute,deploy}', true, 0),
  ('ai', 'AI/ML', 'Call and compare machine learning models', 'ai', '{network,execute}', false, 11),
  ('email', 'Email', 'Read and send mail', 'communication', '{network}', false, 0),
  ('notifications', 'Notifications', 'Notify people through their channels', 'communication', '{network}',
   false, 0),
  ('social', 'Social', 'Publish to social platforms', 'communication', '{network}', true, 0),
  ('image', 'Image', 'Inspect and transform images', 'media', '{read,write}', false, 0),
  ('pdf', 'PDF', 'Read, create and join PDF files', 'media', '{read,write}', false, 0),
  ('calendar', 'Calendar', 'Plan appointments', 'productivity', '{read,write}', false, 0),
  ('docs', 'Documentation', 'Write and check documentation', 'productivity', '{read,write}', false, 7),
  ('cloud', 'Cloud', 'Manage resources of cloud providers', 'cloud', '{network,deploy}', true, 10),
  ('monitoring', 'Monitoring', 'Observe systems and their alarms', 'cloud', '{read}', false, 11),
  ('circles', 'Circles', 'Arrange circles and their members', 'gathering', '{read,write}', false, 0),
  ('goals', 'Goals', 'Set goals and follow them', 'gathering', '{read,write}', false, 0),
  ('pipelines', 'Pipelines', 'Build and run pipelines', 'gathering', '{read,write}', false, 0),
  ('projects', 'Projects', 'Look after projects', 'gathering', '{read,write}', false, 0),
  ('schedules', 'Schedules', 'Plan recurring work', 'gathering', '{read,write}', false, 0),
  ('tasks', 'Tasks', 'Hand out and track tasks', 'gathering', '{read,write}', false, 0);
