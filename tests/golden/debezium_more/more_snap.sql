-- schemas
CREATE EXTENSION IF NOT EXISTS hstore;
CREATE TABLE b (id integer PRIMARY KEY, v text DEFAULT 'd', n name, a int[], h hstore, t time, tz timetz, ts timestamptz(3), iv interval, m money, tm time(6)[], d date[], x xml, ar2 text[], bt bit(3), pt point, nn numeric, u uuid, by bytea, ci char(4)); CREATE TABLE a_empty (id integer PRIMARY KEY); CREATE TABLE z_nk (v text, w int); CREATE TABLE one (id int primary key);
INSERT INTO b VALUES (1,NULL,'nm','{1,NULL}','a=>1,b=>2','24:00','10:00:00.5+02','2020-01-01 00:00:00.5+00','1 mon -1 day','$1.5','{01:02:03.456789}','{1500-01-01}','<a/>','{x}',B'101','(1,2)',1.50,'0f8fad5b-d9cb-469f-a165-70867728950e','\x01','ab'),(2,'x',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO z_nk VALUES ('a',1),(NULL,2); INSERT INTO one VALUES (7);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO b (id) VALUES (3);
