-- schemas
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE TABLE t (id integer PRIMARY KEY, x integer, a text, b text NOT NULL, c jsonb, d text[], e bytea, f hstore, g integer[], h xml, i varchar(40000), j text DEFAULT 'dflt');
CREATE TABLE tf (LIKE t INCLUDING ALL); ALTER TABLE tf REPLICA IDENTITY FULL;
CREATE TABLE ti (k text NOT NULL, x integer, a text); CREATE UNIQUE INDEX ti_k ON ti (k); ALTER TABLE ti REPLICA IDENTITY USING INDEX ti_k;
CREATE TABLE tk (k text PRIMARY KEY, x integer, a text);
DO $$ DECLARE r record; BEGIN FOR r IN SELECT attrelid::regclass AS t, attname FROM pg_attribute WHERE attrelid IN ('t'::regclass,'tf'::regclass,'ti'::regclass,'tk'::regclass) AND attnum>0 AND attlen=-1 LOOP EXECUTE format('ALTER TABLE %s ALTER %I SET STORAGE EXTERNAL', r.t, r.attname); END LOOP; END $$;
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO t SELECT 1, 1, repeat('a',3000), repeat('b',3000), jsonb_build_object('k',repeat('c',3000)), array_fill('x'::text, ARRAY[900]), decode(repeat('ab',3000),'hex'), hstore('k',repeat('g',3000)), array_fill(5, ARRAY[900]), ('<a>'||repeat('e',3000)||'</a>')::xml, repeat('i',3000), repeat('j',3000);
INSERT INTO tf SELECT * FROM t;
UPDATE t SET x = 2; UPDATE tf SET x = 2;
UPDATE t SET a = 'short', b = repeat('B',3000); UPDATE tf SET a = 'short', b = repeat('B',3000);
UPDATE t SET id = 2; UPDATE tf SET id = 2;
UPDATE t SET d = NULL, j = NULL; UPDATE tf SET d = NULL, j = NULL;
DELETE FROM t; DELETE FROM tf;
INSERT INTO ti VALUES (repeat('k', 1000), 1, repeat('a', 3000)); UPDATE ti SET x = 2; UPDATE ti SET k = repeat('l', 1000); DELETE FROM ti;
INSERT INTO tk VALUES (repeat('k', 1000), 1, repeat('a', 3000)); UPDATE tk SET x = 2; UPDATE tk SET k = repeat('l', 1000); DELETE FROM tk;
