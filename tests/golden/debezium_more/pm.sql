-- schemas
CREATE TABLE a (id integer PRIMARY KEY, v varchar(20), n numeric(6,2), m money, d date, b bytea, t timestamp(3), c char(4));
CREATE SCHEMA s; CREATE TABLE s.b (id bigserial PRIMARY KEY, v text NOT NULL); CREATE TABLE s.x (id integer PRIMARY KEY);
COMMENT ON TABLE a IS 'the a'; COMMENT ON COLUMN a.v IS 'the v';
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO a VALUES (1, 'abc', 1.5, 1.239, '2024-01-01', '\x0102', '2024-01-01 00:00:00.5', 'c');
UPDATE a SET v = 'def';
UPDATE a SET id = 2;
DELETE FROM a;
INSERT INTO s.b (v) VALUES ('x');
INSERT INTO s.x VALUES (1);
