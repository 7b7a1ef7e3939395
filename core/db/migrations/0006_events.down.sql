DROP FUNCTION events_maintain(interval);
DROP FUNCTION task_event(text);
DROP TABLE event_consumers;
DROP TABLE events;
DROP SEQUENCE events_sequence;
