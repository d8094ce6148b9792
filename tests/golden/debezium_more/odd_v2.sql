-- schemas
CREATE TABLE a (id integer PRIMARY KEY, v text, w varchar(10), c char(5), d "char", u uuid, n integer);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO a VALUES (1, 'abc é', 'x😀', 'ab', 'q', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 5), (2, '', NULL, '', NULL, NULL, NULL), (3, repeat('é', 70000), 'x', NULL, NULL, NULL, 3);
