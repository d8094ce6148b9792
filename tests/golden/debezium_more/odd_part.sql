-- schemas
CREATE TABLE p (id integer, r text, v text, PRIMARY KEY (id, r)) PARTITION BY LIST (r);
CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a'); CREATE TABLE p_b (v text, id integer NOT NULL, extra integer, r text NOT NULL); ALTER TABLE p_b DROP extra; ALTER TABLE p ATTACH PARTITION p_b FOR VALUES IN ('b');
CREATE TABLE p_c PARTITION OF p FOR VALUES IN ('c') PARTITION BY RANGE (id); CREATE TABLE p_c1 PARTITION OF p_c FOR VALUES FROM (0) TO (100);
ALTER TABLE p_a REPLICA IDENTITY FULL; ALTER TABLE p_b REPLICA IDENTITY FULL; ALTER TABLE p_c1 REPLICA IDENTITY FULL;
CREATE TABLE inh (id integer PRIMARY KEY, v text); CREATE TABLE inh_child (w integer) INHERITS (inh);
CREATE PUBLICATION dbz_publication FOR ALL TABLES WITH (publish_via_partition_root = true);
-- stream
INSERT INTO p VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, 'c', 'x');
UPDATE p SET v = 'y';
UPDATE p SET id = id + 10;
UPDATE p SET r = 'b' WHERE r = 'a';
DELETE FROM p;
INSERT INTO inh VALUES (1, 'x'); INSERT INTO inh_child VALUES (1, 'x', 3);
UPDATE ONLY inh SET v = 'y';
CREATE TABLE p_d PARTITION OF p FOR VALUES IN ('d');
INSERT INTO p VALUES (9, 'd', 'x');
