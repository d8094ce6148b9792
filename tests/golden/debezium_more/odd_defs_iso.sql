-- schemas
CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext;
CREATE TYPE mood AS ENUM ('a b', 'c,d', 'e"f');
CREATE TABLE f (id integer PRIMARY KEY, a text DEFAULT E'x\x01y', b text DEFAULT E'tab\there', c varchar(5) DEFAULT 'é😀', d json DEFAULT E'{"a":\n1}', e jsonb DEFAULT '{"a": "é"}', f mood DEFAULT 'e"f', g mood NOT NULL DEFAULT 'a b', h citext DEFAULT 'X', i date DEFAULT CURRENT_DATE, j timestamp DEFAULT now(), k timestamptz(3) DEFAULT CURRENT_TIMESTAMP, l uuid DEFAULT gen_random_uuid(), m integer DEFAULT 1 + 1, n integer DEFAULT length('abc'), o text DEFAULT upper('x'), p text DEFAULT '', q text NOT NULL DEFAULT '', r boolean DEFAULT false, s boolean NOT NULL DEFAULT true, t numeric(5,2) DEFAULT 0, u numeric(5,2) NOT NULL DEFAULT -1.5, v bytea DEFAULT '\x00', w text[] DEFAULT '{a,b}', x text[] NOT NULL DEFAULT ARRAY['q'], y hstore DEFAULT '', z interval DEFAULT '-1 day', aa time DEFAULT '23:59:59.9', ab timetz DEFAULT '12:00+02', ac bit(3) DEFAULT B'010', ad real DEFAULT 1.5, ae double precision DEFAULT '-Infinity', af bigint DEFAULT 9223372036854775807, ag smallint DEFAULT -1, ah char(3) DEFAULT 'é', ai text DEFAULT $$it's$$, aj text DEFAULT ('a' || 'b') || 'c', ak integer DEFAULT (-1), al text DEFAULT 'x'::varchar, am inet DEFAULT '::1', an int4range DEFAULT '[1,2)', ao xml DEFAULT '<a/>', ap money DEFAULT 1.5, aq integer DEFAULT NULL, ar date DEFAULT '0044-03-15 BC', at timestamp DEFAULT '10000-01-01', au timestamptz DEFAULT '2020-01-01 00:00:00+05:30', av integer DEFAULT '5', aw numeric DEFAULT 1e10, ax text DEFAULT '$1', ay text DEFAULT 'nextval(''x'')', az numeric(5,2) DEFAULT 1.005, ba interval DEFAULT '1 year 2 mons -3 days', bb text DEFAULT E'back\\slash', bc double precision DEFAULT 1e-7, bd real DEFAULT 16777217, be boolean DEFAULT ('x' = 'y'), bf oid DEFAULT 7, bg varbit DEFAULT B'', bh timestamp(3) DEFAULT '2020-01-01 01:02:03.4567');
ALTER TABLE f REPLICA IDENTITY FULL;
CREATE TABLE fd (LIKE f INCLUDING ALL);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO f (id, i, j, k, l) VALUES (1, '2020-01-01', '2020-01-01', '2020-01-01', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
INSERT INTO f VALUES (2, NULL, NULL, NULL, NULL, NULL, NULL, 'a b', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'q', NULL, true, NULL, 1, NULL, NULL, '{x}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
DELETE FROM f WHERE id = 2;
INSERT INTO fd (id, i, j, k, l) VALUES (1, '2020-01-01', '2020-01-01', '2020-01-01', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
UPDATE fd SET id = 2;
DELETE FROM fd;
