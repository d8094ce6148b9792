-- schemas
CREATE TABLE a (id integer PRIMARY KEY, v text); CREATE TABLE hb (n integer);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO a VALUES (1, 'x');
SELECT pg_sleep(1);
UPDATE a SET v = 'y';
