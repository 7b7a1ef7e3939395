-- What happened, in the order it became so: a row for each change, written by the transaction that makes it.
--
-- A transaction that inserts here has changed something else before, so it has its id when it draws the
-- sequence number.  What readers conclude from snapshots depends on that (core/events/horizon.h).
--
-- No foreign keys: what happened outlives whom it happened to.  Partitioned by day, so that forgetting is
-- dropping a table; what belongs to no day that was prepared (events replayed from long ago) is in the default.

CREATE SEQUENCE events_sequence;

CREATE TABLE events (
  sequence        bigint NOT NULL DEFAULT nextval('events_sequence'),
  id              uuid NOT NULL DEFAULT gen_random_uuid(),
  type            text NOT NULL CHECK (char_length(type) BETWEEN 1 AND 100),
  data            jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(data) = 'object'),
  source_agent_id bigint,
  circle_id       bigint,
  project_id      bigint,
  time            timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (sequence, time)
) PARTITION BY RANGE (time);

CREATE UNIQUE INDEX events_id ON events (id, time);
CREATE INDEX events_circle ON events (circle_id, sequence) WHERE circle_id IS NOT NULL;

CREATE TABLE events_default PARTITION OF events DEFAULT;

-- How far each durable consumer is.  The effect of an event and this are one transaction.
CREATE TABLE event_consumers (
  name       text PRIMARY KEY CHECK (char_length(name) BETWEEN 1 AND 100),
  position   bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- What a task's new status is called as an event.
CREATE FUNCTION task_event(status text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT 'task.' || CASE status WHEN 'pending' THEN 'released' WHEN 'in_progress' THEN 'started'
                                WHEN 'in_review' THEN 'submitted' ELSE status END
$$;

-- Prepares the days to come and forgets what is older than `keep`.  Says how many days were forgotten; null
-- when somebody else is at it.
CREATE FUNCTION events_maintain(keep interval) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  today     timestamptz := date_trunc('day', now(), 'UTC');
  day       timestamptz;
  partition text;
  forgotten integer := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('gathering events_maintain')) THEN
    RETURN NULL;
  END IF;
  FOR i IN 0..2 LOOP
    day := today + make_interval(days => i);
    partition := 'events_' || to_char(day AT TIME ZONE 'UTC', 'YYYYMMDD');
    CONTINUE WHEN to_regclass(partition) IS NOT NULL
               OR EXISTS (SELECT FROM events_default
                          WHERE time >= day AND time < day + interval '1 day');
    EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', partition, day,
                   day + interval '1 day');
  END LOOP;
  FOR partition IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{8}$'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= (now() - keep) AT TIME ZONE 'UTC'
    ORDER BY c.relname
  LOOP
    EXECUTE format('DROP TABLE %I', partition);
    forgotten := forgotten + 1;
  END LOOP;
  DELETE FROM events_default WHERE time < now() - keep;
  RETURN forgotten;
END
$$;
