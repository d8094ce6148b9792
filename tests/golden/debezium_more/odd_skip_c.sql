CREATE TABLE a (id integer PRIMARY KEY, v text, w integer); ALTER TABLE a REPLICA IDENTITY FULL;
CREATE TABLE b (id integer PRIMARY KEY, v text, w integer);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO a VALUES (1, 'x', 2);
INSERT INTO b VALUES (1, 'x', 2);
UPDATE a SET w = 3; UPDATE b SET w = 3;
UPDATE a SET v = 'x'; UPDATE b SET v = 'x';
UPDATE a SET id = 2, w = 5; UPDATE b SET id = 2, w = 5;
DELETE FROM a; DELETE FROM b;
TRUNCATE a, b;
