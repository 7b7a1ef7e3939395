DROP TABLE conflicts;
DROP TABLE task_files;
DROP TABLE task_history;
DROP TABLE tasks;
DROP TABLE circle_members;
DROP TABLE circles;
