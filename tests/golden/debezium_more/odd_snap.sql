-- schemas
CREATE SCHEMA zz; CREATE SCHEMA "A b";
CREATE TABLE nopk (v text, w integer); INSERT INTO nopk VALUES ('a', 1), (NULL, NULL);
CREATE TABLE zz.t (id integer PRIMARY KEY, v text DEFAULT 'd'); INSERT INTO zz.t VALUES (1, NULL), (2, 'x');
CREATE TABLE "A b"."C d" ("E f" integer PRIMARY KEY, "g""h" text); INSERT INTO "A b"."C d" VALUES (1, 'x');
CREATE TABLE empty (id integer PRIMARY KEY);
CREATE TABLE uq (a integer NOT NULL, b text, UNIQUE (a)); INSERT INTO uq VALUES (3, 'x');
CREATE TABLE ck (a integer, b text, c integer, PRIMARY KEY (b, a)); INSERT INTO ck VALUES (3, 'x', 1);
CREATE TABLE dropped (a integer, b text, c integer PRIMARY KEY); ALTER TABLE dropped DROP a; INSERT INTO dropped VALUES ('x', 1);
CREATE TABLE wide AS SELECT 1 AS id, 'NaN'::numeric AS n, 1::numeric AS m WHERE false; ALTER TABLE wide ADD PRIMARY KEY (id); ALTER TABLE wide ALTER m TYPE numeric(5,2); INSERT INTO wide VALUES (1, 'NaN', 'NaN'), (2, '-Infinity', NULL);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO zz.t VALUES (3, 'y');
INSERT INTO nopk VALUES ('z', 9);
