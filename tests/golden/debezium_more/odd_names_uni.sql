-- schemas
CREATE SCHEMA "My.Schema"; CREATE SCHEMA "1x";
CREATE TABLE "My.Schema"."Größe $1" ("ID" integer PRIMARY KEY, "a.b" text, "a-c" text, "ünï" integer, "2nd" integer, "with ""quote" text, "_x" integer, "a__b" text, "😀" text);
CREATE TABLE "1x"."2y" (id integer PRIMARY KEY, "select" text, "op" text, "before" text, "__deleted" text);
CREATE TABLE "a_b" (id integer PRIMARY KEY, v text);
CREATE TABLE "very_long_table_name_that_goes_to_the_limit_of_sixty_three_chars" (id integer PRIMARY KEY, "very_long_column_name_that_goes_to_the_limit_of_sixty_three_cha" text);
CREATE PUBLICATION dbz_publication FOR ALL TABLES;
-- stream
INSERT INTO "My.Schema"."Größe $1" VALUES (1, 'x', 'y', 3, 4, 'q', 5, 'z', 's');
UPDATE "My.Schema"."Größe $1" SET "ID" = 2;
DELETE FROM "My.Schema"."Größe $1";
INSERT INTO "1x"."2y" VALUES (1, 's', 'o', 'b', 'd');
INSERT INTO "a_b" VALUES (1, 'x');
INSERT INTO "very_long_table_name_that_goes_to_the_limit_of_sixty_three_chars" VALUES (1, 'x');
