-- schemas
CREATE TABLE a (id integer PRIMARY KEY, v text, w integer NOT NULL, x numeric(6,2));
CREATE TABLE b (id integer PRIMARY KEY, v text, w integer);  ALTER TABLE b REPLICA IDENTITY FULL;
CREATE TABLE a2 (id integer, v text, w integer);
CREATE TABLE z (id integer PRIMARY KEY, v text);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO a VALUES (1, 'x', 2, 3);
UPDATE a SET v = 'y';
UPDATE a SET id = 2;
UPDATE a SET w = 3;
DELETE FROM a;
INSERT INTO b VALUES (1, 'x', 2);
UPDATE b SET v = 'y';
UPDATE b SET id = 2;
UPDATE b SET w = NULL;
UPDATE b SET w = 4, id = 9;
DELETE FROM b;
INSERT INTO a2 VALUES (1, 'x', 2), (NULL, NULL, NULL);
INSERT INTO z VALUES (1, 'x');
UPDATE z SET id = 2;
DELETE FROM z;
TRUNCATE a, z;
