"""What `cdc check` asks a target before anything is changed in it."""

from __future__ import annotations

import psycopg

from cdc.check import Check
from cdc.errors import CdcError
from connectors.postgres import failures, opening
from connectors.postgres.settings import Settings
from connectors.sql import quote

OLDEST = 120000
FACTS = """
    select current_setting('server_version_num')::int, current_setting('server_version'), pg_is_in_recovery(),
        current_setting('server_encoding'), current_user::text, current_database()::text,
        has_database_privilege(current_database(), 'create'), has_database_privilege(current_database(), 'temp'),
        to_regnamespace(quote_ident($1)) is not null,
        coalesce(has_schema_privilege(to_regnamespace(quote_ident($1))::oid, 'create'), false)
"""


def check(settings: Settings) -> list[Check]:
    name = f"PostgreSQL {opening.where(settings)}"
    try:
        with opening.connect(settings) as connection:
            row = connection.execute(FACTS, [settings.metadata_schema]).fetchone()
    except CdcError as error:
        return [Check(name, "fail", f"{error.what}: {error.why}", error.hint)]
    except psycopg.Error as error:
        told = failures.classify(error, what="the target cannot be asked", where=name)
        return [Check(name, "fail", f"{told.what}: {told.why}", told.hint)]
    assert row is not None
    number, version, standby, encoding, role, database, create, temporary, made, own = row
    found = []
    if number < OLDEST:
        found.append(
            Check(name, "fail", f"it is version {version}; 12 or newer is needed", "upgrade the server")
        )
    if standby:
        found.append(
            Check(name, "fail", "it is a standby, which cannot be written", "let dsn name the primary")
        )
    database, role = quote(database), quote(role)
    if not create and not made:
        fix = f"grant create on database {database} to {role}"
        found.append(Check(name, "fail", "the role may not create schemas", fix))
    elif not create:
        fix = f"grant create on database {database} to {role}"
        found.append(
            Check(name, "warn", "the role may not create schemas: tables of a new one are refused", fix)
        )
    if made and not own:
        schema = quote(settings.metadata_schema)
        fix = f"grant usage, create on schema {schema} to {role}"
        found.append(Check(name, "warn", f"the role may not create tables in the schema {schema}", fix))
    if not temporary:
        fix = f"grant temporary on database {database} to {role}"
        found.append(Check(name, "fail", "the role may not create temporary tables", fix))
    if encoding != opening.TEXT_ENCODING:
        found.append(
            Check(
                name,
                "warn",
                f"its encoding is {encoding}: characters that it lacks are refused",
                "use a database in UTF8",
            )
        )
    return found or [Check(name, "ok", f"version {version}, written by {role}")]
