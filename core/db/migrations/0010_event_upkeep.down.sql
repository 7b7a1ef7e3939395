ALTER FUNCTION events_maintain(interval) SECURITY INVOKER RESET search_path;
GRANT EXECUTE ON FUNCTION events_maintain(interval) TO PUBLIC;
