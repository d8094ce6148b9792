-- schemas
CREATE TABLE a (id integer PRIMARY KEY, v text);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
SELECT pg_logical_emit_message(true, 'foo', 'text é😀');
SELECT pg_logical_emit_message(true, 'foobar', '\x00ff10'::bytea);
SELECT pg_logical_emit_message(false, 'foo', '');
SELECT pg_logical_emit_message(true, '', 'empty prefix');
SELECT pg_logical_emit_message(false, 'é"\', 'odd');
BEGIN; INSERT INTO a VALUES (1, 'x'); SELECT pg_logical_emit_message(true, 'foo', 'in'); SELECT pg_logical_emit_message(false, 'foo', 'out'); UPDATE a SET v = 'y'; COMMIT;
BEGIN; SELECT pg_logical_emit_message(true, 'foo', 'gone'); SELECT pg_logical_emit_message(false, 'foo', 'stays'); ROLLBACK;
INSERT INTO a VALUES (2, 'x');
