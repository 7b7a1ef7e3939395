-- Daemons remember answers.  Whatever an answer is made of tells them when it changes: with the commit, and
-- whoever changes it.
--
-- A circle changes with each of its tasks.  The daemons write an event for each of these anyway and read them
-- all, so for them (gathering.tells) this stays silent there: a notification would make commits wait for each
-- other.

CREATE FUNCTION changed_agent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'agents' THEN
    PERFORM pg_notify('gathering_changes', 'agent ' || OLD.id);
  ELSIF TG_OP = 'INSERT' THEN
    PERFORM pg_notify('gathering_changes', 'agent ' || NEW.agent_id);
  ELSE
    PERFORM pg_notify('gathering_changes', 'agent ' || OLD.agent_id);
  END IF;
  RETURN NULL;
END
$$;

CREATE FUNCTION changed_circle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'circles' THEN
    PERFORM pg_notify('gathering_changes', 'circle ' || OLD.name);
  ELSE
    PERFORM pg_notify('gathering_changes', 'circle ' || name) FROM circles
    WHERE id = CASE TG_OP WHEN 'INSERT' THEN NEW.circle_id ELSE OLD.circle_id END;
  END IF;
  RETURN NULL;
END
$$;

-- Its argument is what changed.
CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('gathering_changes', TG_ARGV[0]);
  RETURN NULL;
END
$$;

CREATE TRIGGER agents_changed AFTER UPDATE OR DELETE ON agents
  FOR EACH ROW EXECUTE FUNCTION changed_agent();
CREATE TRIGGER agent_working_files_changed AFTER INSERT OR UPDATE OR DELETE ON agent_working_files
  FOR EACH ROW EXECUTE FUNCTION changed_agent();
CREATE TRIGGER agent_skills_changed AFTER INSERT OR UPDATE OR DELETE ON agent_skills
  FOR EACH ROW EXECUTE FUNCTION changed_agent();

CREATE TRIGGER circles_changed AFTER UPDATE OR DELETE ON circles
  FOR EACH ROW WHEN (current_setting('gathering.tells', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION changed_circle();
CREATE TRIGGER circle_members_changed AFTER INSERT OR UPDATE OR DELETE ON circle_members
  FOR EACH ROW WHEN (current_setting('gathering.tells', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION changed_circle();
CREATE TRIGGER tasks_changed AFTER INSERT OR UPDATE OR DELETE ON tasks
  FOR EACH ROW WHEN (current_setting('gathering.tells', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION changed_circle();
CREATE TRIGGER conflicts_changed AFTER INSERT OR UPDATE OR DELETE ON conflicts
  FOR EACH ROW WHEN (current_setting('gathering.tells', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION changed_circle();

CREATE TRIGGER providers_changed AFTER INSERT OR UPDATE OR DELETE ON providers
  FOR EACH STATEMENT EXECUTE FUNCTION changed('catalog');
CREATE TRIGGER models_changed AFTER INSERT OR UPDATE OR DELETE ON models
  FOR EACH STATEMENT EXECUTE FUNCTION changed('catalog');
CREATE TRIGGER personas_changed AFTER INSERT OR UPDATE OR DELETE ON personas
  FOR EACH STATEMENT EXECUTE FUNCTION changed('catalog');
CREATE TRIGGER skills_changed AFTER INSERT OR UPDATE OR DELETE ON skills
  FOR EACH STATEMENT EXECUTE FUNCTION changed('all');

CREATE TRIGGER agents_emptied AFTER TRUNCATE ON agents FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER agent_working_files_emptied AFTER TRUNCATE ON agent_working_files
  FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER agent_skills_emptied AFTER TRUNCATE ON agent_skills
  FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER circles_emptied AFTER TRUNCATE ON circles FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER circle_members_emptied AFTER TRUNCATE ON circle_members
  FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER tasks_emptied AFTER TRUNCATE ON tasks FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER conflicts_emptied AFTER TRUNCATE ON conflicts FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER catalog_emptied AFTER TRUNCATE ON personas FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER catalog_emptied AFTER TRUNCATE ON models FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
CREATE TRIGGER catalog_emptied AFTER TRUNCATE ON providers FOR EACH STATEMENT EXECUTE FUNCTION changed('all');
