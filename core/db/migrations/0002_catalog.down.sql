DROP TABLE agent_skills;
DROP TABLE skills;
DROP VIEW agent_sessions;
DROP TABLE agent_working_files;
DROP TABLE agents;
DROP TABLE personas;
DROP TABLE models;
DROP TABLE providers;
