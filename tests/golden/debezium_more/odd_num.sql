-- schemas
CREATE TABLE n (id integer PRIMARY KEY, a numeric, b numeric(38,10), c numeric(5,0), d numeric(1000,900), e money, f real, g double precision, h numeric[], i numeric(5,2)[], j double precision[], k real[], l money[], o numeric(2,5));
CREATE TABLE kd (k numeric(10,3), l double precision, m real, n numeric, PRIMARY KEY (k, l, m));
ALTER TABLE kd REPLICA IDENTITY FULL;
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO n (id, a, b, c, d, e, f, g, h, i, j, k) VALUES (1, 'NaN', 'NaN', 'NaN', 'NaN', '-$92,233,720,368,547,758.08', 'NaN', 'NaN', '{NaN,1,1.50,NULL}', '{NaN,1}', '{NaN,Infinity,-0,1e300}', '{NaN,-Infinity,1e-45}');
INSERT INTO n (id, a, f, g) VALUES (2, 'Infinity', 'Infinity', '-Infinity'), (3, '-Infinity', '-0', '-0');
INSERT INTO n (id, a, b, c, d, e, f, g) VALUES (4, 0, 0, 0, 0, 0, 0, 0), (5, 1e100, 1234567890123456789012345678.0123456789, 99999, 0.000000001, 0.01, 3.4028235e38, 1.7976931348623157e308), (6, 1e-100, -0.0000000001, -99999, -1, -0.01, 1.17549435e-38, 2.2250738585072014e-308), (7, 100, 100, 100, 100, 100, 16777216, 9007199254740993), (8, 0.10, 0.10, 0, 0.10, 0.10, 0.1, 0.1), (9, 123.4500, 0, 0, 0, 0, 123456.789, 123456789.123456789), (10, 1000000000000, 0, 0, 0, 0, 1e7, 1e-3), (11, 0.000, 0, 0, 0, 0, 9999999, 1e21);
UPDATE n SET a = a + 1 WHERE id = 7;
INSERT INTO kd VALUES (1.5, 1.5, 1.5, 1.50); UPDATE kd SET k = 2; UPDATE kd SET l = 1e22; UPDATE kd SET n = 100; DELETE FROM kd;
