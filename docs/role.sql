-- The least that cdc needs in the source: run it as a superuser, in the database to be captured.
--   psql -v role=cdc -v password=… -v schema=public -v publication=cdc -f role.sql
-- REPLICATION lets it make, read and drop its slot; SELECT is for copying tables and comparing them (cdc verify). It owns nothing:
-- the publication is made here, of all tables of the schema, and cdc takes it as it is.
create role :"role" login replication password :'password';
grant usage on schema :"schema" to :"role";
grant select on all tables in schema :"schema" to :"role";
alter default privileges in schema :"schema" grant select on tables to :"role";  -- of tables that this superuser makes later
create publication :"publication" for tables in schema :"schema" with (publish_via_partition_root = true);
