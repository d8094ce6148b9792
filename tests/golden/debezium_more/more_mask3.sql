-- schemas
CREATE TYPE mood AS ENUM ('sad','ok');
CREATE TABLE m (id integer PRIMARY KEY, vc varchar(30), vc5 varchar(5), ch char(8), tx text, js json, uu uuid, en mood, nm name, i4 integer, n numeric(9,2), ba bytea, ts timestamp, ar text[], x xml, ci inet, bo bool, d text NOT NULL DEFAULT 'dflt');
ALTER TABLE m REPLICA IDENTITY FULL;
CREATE TABLE k (a text PRIMARY KEY, b text);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO m VALUES (1, 'varchar value', 'abcde', 'char', 'text é😀 value', '{"a":1}', '0f8fad5b-d9cb-469f-a165-70867728950e', 'ok', 'nm', 12345678, 12.5, '\x0102030405060708', '2020-01-01', '{abcdefgh,i}', '<abcdefgh/>', '10.0.0.1', true, 'dd');
INSERT INTO m (id) VALUES (2);
UPDATE m SET vc = 'other' WHERE id = 1;
DELETE FROM m;
INSERT INTO k VALUES ('secret key', 'v'); UPDATE k SET a = 'another'; DELETE FROM k;
