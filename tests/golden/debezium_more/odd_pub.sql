-- schemas
CREATE TABLE a (id integer PRIMARY KEY, v text NOT NULL, w integer DEFAULT 5, x text);
CREATE TABLE b (id integer PRIMARY KEY, v text); ALTER TABLE b REPLICA IDENTITY FULL;
CREATE TABLE c (id integer PRIMARY KEY, v text);
CREATE PUBLICATION dbz_publication FOR TABLE a (id, w), TABLE b WHERE (id > 10) WITH (publish = 'insert, update, delete');
-- stream
INSERT INTO a VALUES (1, 'x', 2, 'y');
UPDATE a SET w = 3, x = 'z';
UPDATE a SET id = 5;
DELETE FROM a;
INSERT INTO b VALUES (1, 'x'), (20, 'y');
UPDATE b SET id = 11 WHERE id = 1;
UPDATE b SET id = 2 WHERE id = 20;
UPDATE b SET v = 'zz';
DELETE FROM b;
INSERT INTO c VALUES (1, 'x');
TRUNCATE a;
