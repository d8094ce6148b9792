-- schemas
CREATE TABLE a (id integer PRIMARY KEY, m money, n money NOT NULL DEFAULT 1.5, t text);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO a VALUES (1, 1.235, 2.5), (2, -1234.56, 0), (3, NULL, 92233720368547758.07), (4, 0.05, 0.15);
DELETE FROM a WHERE id = 1;
