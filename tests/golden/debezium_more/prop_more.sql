-- schemas
CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS isn; CREATE EXTENSION IF NOT EXISTS cube;
CREATE SCHEMA app;
CREATE TYPE app."Mood Ring" AS ENUM ('a,b', 'it''s', 'ü');
CREATE TYPE mood AS ENUM ('sad','ok');
CREATE DOMAIN tsd AS timestamp(3);
CREATE DOMAIN textarr AS text[];
CREATE DOMAIN dom AS text NOT NULL DEFAULT 'x';
CREATE DOMAIN dd AS dom;
CREATE TYPE flr AS RANGE (subtype = float8);
CREATE TYPE comp AS (a int, b text);
CREATE TABLE m (id integer PRIMARY KEY,
 e1 app."Mood Ring", e2 mood, t1 tsd, ta textarr, d1 dd, r1 flr, c1 comp, isb isbn, cu cube,
 tz0 timestamptz(0), tz3 timestamptz(3), tz1 timestamptz(1), ttz0 timetz(0), tm timestamp, tim time, tim2 time(2), iv0 interval(0), ivy interval year to month,
 n5 numeric(5), n53 numeric(5,3), n0 numeric(20,0), dec decimal,
 vb1 varbit(1), vb5 varbit(5), b9 bit(9), b0 bit,
 li line, ls lseg, pa path, pb path, po polygon, ci circle, bx box, tq tsquery, ts txid_snapshot, pl pg_lsn, mr int4multirange, xi xid, x8 xid8, td tid, jp jsonpath, ref refcursor, ac aclitem, cc "char",
 ch char, chn char(3), nm name, oi oid);
CREATE TABLE arr (id integer PRIMARY KEY, a1 citext[], a2 hstore[], a3 ltree[], a4 tsvector[], a5 macaddr[], a6 cidr[], a7 daterange[], a8 varbit[], a9 box[], a10 dd[], a11 mood[], a12 name[], a13 "char"[], a14 timestamptz(3)[], a15 time(6)[], a16 timetz[], a17 numeric(6,1)[], a18 xml[], a19 comp[], a20 flr[], a21 isbn[], a22 bit[], a23 pg_lsn[], a24 date[], a25 oid[], a26 xid[], a28 int4multirange[], a29 real[], a30 bytea[], a31 tsd[], a32 timestamp[], a33 interval[], a34 char[], a35 jsonpath[]);
CREATE TABLE ks (k text PRIMARY KEY, v int);
CREATE TABLE kn (k numeric(8,2) PRIMARY KEY, v int);
CREATE TABLE kf (k numeric PRIMARY KEY, v int);
CREATE TABLE ku (k uuid, d date, t timestamptz, b bytea, f double precision, o bool, v int, PRIMARY KEY (k,d,t,b,f,o));
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO m VALUES (1, 'a,b', 'sad', '2024-01-02 03:04:05.6789', '{x,NULL}', 'dom', '[1.5,2)', ROW(1,'x,"y'), '0-306-40615-2', '(1,2)',
 '2024-01-02 03:04:05.6+00', '2024-01-02 03:04:05.6+00', '2024-01-02 03:04:05+00', '03:04:05.6+02', '2024-01-02 03:04:05.000001', '03:04:05.000001', '03:04:05.678', '1 day 02:03:04.5', '1 year 2 months',
 12345, 12.3, 123456789, 1.50, B'1', B'00101', B'000000001', B'1',
 '{1,2,3}', '((1,2),(3,4))', '((1,2),(3,4))', '[(1,2),(3,4)]', '((0,0),(1,1),(1,0.5))', '<(1,2),3.25>', '((1e20,2),(3,1e-7))', 'fat & rat', '10:20:10,14,15', '0/0', '{[1,3),[5,7)}', '123', '456', '(0,1)', '$.a', 'rc', 'postgres=r/postgres', 'q',
 'x', 'é', 'some name', 42);
INSERT INTO m (id) VALUES (2);
INSERT INTO m (id, e1, tz0, tz3, tim, tm, iv0, cc, ci, b9) VALUES (3, 'it''s', 'infinity', '0044-03-15 12:00:00+00 BC', '24:00', '1582-10-04 00:00:00', '-1 day -00:00:01', '', '<(0,0),0>', B'100000000');
DELETE FROM m WHERE id = 1;
INSERT INTO arr VALUES (1, '{A,NULL}', ARRAY['a=>1'::hstore, NULL], '{a.b,c}', ARRAY['a b'::tsvector], '{08:00:2b:01:02:03}', '{10.0.0.0/8,NULL}', '{"[2024-01-01,2024-02-01)"}', '{101}', ARRAY['((1,2),(3,4))'::box], '{x}', '{sad}', '{n}', '{a,b}', '{"2024-01-02 03:04:05.678+02"}', '{03:04:05.678901,24:00:00}', '{03:04:05.678901+02:30}', '{1.5,NULL,22}', '{<a/>}', ARRAY[ROW(1,'x')::comp], '{"[1,2)"}', '{0-306-40615-2}', '{1}', '{0/1}', '{2024-01-02,0001-01-01,1500-01-01,NULL}', '{1}', '{1}', '{"{[1,2)}"}', '{1e10,1.1}', ARRAY['\x00'::bytea], '{"2024-01-02 03:04:05.678"}', '{"1600-01-02 03:04:05.678901",infinity}', '{1 day}', '{a,b}', '{$.a}');
INSERT INTO arr (id) VALUES (2);
INSERT INTO arr VALUES (3, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
DELETE FROM arr WHERE id=1;
INSERT INTO ks VALUES ('a"b\c é 😀' || chr(1) || chr(9), 1);
UPDATE ks SET k = 'plain';
UPDATE ks SET k = 'a"b\c é 😀';
DELETE FROM ks;
INSERT INTO kn VALUES (1.5, 1); UPDATE kn SET k = 22.25; DELETE FROM kn;
INSERT INTO kf VALUES (1.50, 1); UPDATE kf SET k = 100; DELETE FROM kf;
INSERT INTO ku VALUES ('0f8fad5b-d9cb-469f-a165-70867728950e', '2024-01-02', '2024-01-02 03:04:05+00', '\x00ff', 1.5, true, 1); UPDATE ku SET f = 1e10; DELETE FROM ku;
