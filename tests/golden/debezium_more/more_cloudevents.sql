-- schemas
CREATE TABLE t (id integer PRIMARY KEY, v text DEFAULT 'd', n numeric(5,2), doc text);
ALTER TABLE t ALTER doc SET STORAGE EXTERNAL;
CREATE TABLE f (a integer, b text);
ALTER TABLE f REPLICA IDENTITY FULL;
CREATE TABLE k (id integer, v text);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO t VALUES (1, 'a', 1.50, repeat('x', 2100)), (2, NULL, NULL, NULL);
UPDATE t SET v = 'b' WHERE id = 1;
UPDATE t SET id = 3 WHERE id = 2;
DELETE FROM t WHERE id = 1;
INSERT INTO f VALUES (1, 'a'), (2, NULL);
UPDATE f SET b = 'c' WHERE a = 1;
DELETE FROM f WHERE a = 2;
INSERT INTO k VALUES (1, 'x');
SELECT pg_sleep(0.5);
BEGIN; INSERT INTO t VALUES (5, '€"', -1, ''); DELETE FROM t WHERE id = 5; COMMIT;
TRUNCATE f;
