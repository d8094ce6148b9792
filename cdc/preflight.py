"""What `cdc check` finds: every precondition by name, whether it holds, and the very statement that mends it.

`examine` gathers facts; here they are judged, without asking anything more. A `fix` that is SQL is for a superuser (or the
owner of what it names), one statement after the other, as psql takes them.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from cdc.check import Check
from cdc.config import SourceSettings
from cdc.errors import SourceError
from cdc.preflight_tables import judge_tables
from cdc.source import connect
from cdc.source.examine import ServerFacts, examine
from cdc.source.failures import explain
from cdc.source.publication import (
    ACTIONS,
    TableName,
    actions_statement,
    add_statement,
    create_statement,
    quoted,
    via_root_statement,
)
from cdc.source.slot import create_statement as create_slot_statement

__all__ = ["Check", "check_source"]


def check_source(settings: SourceSettings) -> list[Check]:
    """Every check of the source, the failures of getting there included. Changes nothing."""
    try:
        with connect.connect(settings) as connection:
            facts = examine(connection, settings)
    except SourceError as error:
        return [Check("connection", "fail", f"{error.where}: {error.why or error.what}", error.hint)]
    except psycopg.Error as error:
        told = explain(error, "cannot examine the source", where=connect.where(settings))
        return [Check("connection", "fail", str(told), told.hint)]
    reached = Check(
        "connection", "ok", f"{connect.where(settings)} as {facts.role}, PostgreSQL {facts.version}"
    )
    return [reached, *judge(facts, settings)]


def judge(facts: ServerFacts, settings: SourceSettings) -> Iterator[Check]:
    """The facts held against what a run needs."""
    yield from judge_server(facts, settings)
    yield from judge_role(facts)
    yield from judge_tables(facts, settings)
    if settings.plugin == "pgoutput":
        yield from judge_publication(facts, settings)
    yield from judge_slot(facts, settings)
    yield from judge_retention(facts)


def judge_server(facts: ServerFacts, settings: SourceSettings) -> Iterator[Check]:
    if facts.version >= 13:
        yield Check("version", "ok", f"PostgreSQL {facts.version}")
    else:
        yield Check("version", "fail", f"PostgreSQL {facts.version} is too old", "upgrade to 13 or later")
    if facts.in_recovery:
        hint = "set [source] dsn to the primary"
        if facts.version < 16:
            yield Check("primary", "fail", "a standby before PostgreSQL 16 cannot decode", hint)
        else:
            yield Check("primary", "warn", "this is a standby: make the publication on its primary", hint)
    level = facts.settings["wal_level"]
    if level == "logical":
        yield Check("wal_level", "ok", "logical")
    else:
        detail = f"it is {level}; the change needs a restart of PostgreSQL"
        yield Check("wal_level", "fail", detail, "alter system set wal_level = logical")
    slots = 0 if facts.slot else 1
    yield _room("max_replication_slots", facts, facts.slots_used, slots)
    yield _room(
        "max_wal_senders", facts, facts.senders_used, 0 if facts.slot and facts.slot.active_pid else 1
    )
    yield _encoding(facts, settings)


def _room(setting: str, facts: ServerFacts, used: int, needed: int) -> Check:
    most = int(facts.settings[setting] or 0)
    detail = f"{used} of {most} in use"
    if used + needed <= most:
        return Check(setting, "ok", detail)
    detail += "; the change needs a restart of PostgreSQL"
    return Check(setting, "fail", detail, f"alter system set {setting} = {used + needed + 4}")


def _encoding(facts: ServerFacts, settings: SourceSettings) -> Check:
    encoding = facts.settings["server_encoding"] or ""
    if encoding == "UTF8":
        return Check("encoding", "ok", encoding)
    if encoding == "SQL_ASCII":
        detail = (
            "SQL_ASCII: the server does not know what its bytes mean, and what is not UTF-8 will be refused"
        )
        return Check("encoding", "warn", detail, "dump and restore into a database with encoding UTF8")
    if settings.plugin == "wal2json":
        detail = f"wal2json sends {encoding} as it is, and it would be read as UTF-8"
        return Check("encoding", "fail", detail, 'set [source] plugin = "pgoutput"')
    return Check("encoding", "ok", f"{encoding}, converted to UTF-8")


def judge_role(facts: ServerFacts) -> Iterator[Check]:
    if not facts.replication:
        role = quoted(facts.role)
        fix = f"grant rds_replication to {role}" if facts.rds else f"alter role {role} replication"
        yield Check("replication role", "fail", f"{facts.role} may not replicate", fix)
        return
    yield Check("replication role", "ok", f"{facts.role} may replicate")
    if error := facts.replication_error:
        yield Check("replication connection", "fail", error.why or error.what, error.hint)
    else:
        yield Check("replication connection", "ok", "a walsender answers")


def judge_publication(facts: ServerFacts, settings: SourceSettings) -> Iterator[Check]:
    name, found = settings.publication, facts.publication
    tables = [each.candidate.table for each in facts.captured]
    strangers = [each for each in facts.captured if not each.owner and not facts.superuser]
    if found is None:
        yield _to_be_created(facts, settings, tables, [each.candidate.table for each in strangers])
        return
    ours = settings.create and facts.publication_owner and not strangers
    changes = []
    if any(each.candidate.kind == "p" for each in facts.captured) and not found.via_root:
        changes.append(("it publishes partitions instead of their roots", via_root_statement(name), ours))
    if missing := found.missing(tables):
        listed = ", ".join(map(str, missing))
        changes.append((f"it lacks {listed}", add_statement(name, missing), ours))
    if unpublished := [action for action in ACTIONS if action not in found.actions]:
        changes.append((f"it does not publish {', '.join(unpublished)}", actions_statement(name), False))
    for detail, fix, mended_by_run in changes:
        if mended_by_run:
            yield Check("publication", "ok", f"{name}: {detail}; `cdc run` will change that")
        else:
            yield Check("publication", "fail", f"{name}: {detail}", fix)
    if facts.row_filters:
        detail = (
            f"{name} publishes some rows only, while a snapshot copies all: {', '.join(facts.row_filters)}"
        )
        yield Check("publication", "warn", detail, "publish these tables without WHERE")
    if not changes:
        yield Check("publication", "ok", f"{name} covers {len(tables)} captured tables")


def _to_be_created(
    facts: ServerFacts, settings: SourceSettings, tables: list[TableName], strangers: list[TableName]
) -> Check:
    name = settings.publication
    statement = create_statement(name, tables)
    if not settings.create:
        return Check("publication", "fail", f"there is no {name}, and [source] create is false", statement)
    if strangers:
        listed = ", ".join(map(str, strangers))
        return Check(
            "publication", "fail", f"{facts.role} cannot create {name}: it does not own {listed}", statement
        )
    if not facts.create_on_database:
        fix = f"grant create on database {quoted(facts.database)} to {quoted(facts.role)}"
        return Check("publication", "fail", f"{facts.role} may not create {name} in {facts.database}", fix)
    return Check("publication", "ok", f"{name} will be created")


def judge_slot(facts: ServerFacts, settings: SourceSettings) -> Iterator[Check]:
    slot = facts.slot
    if slot is None:
        if settings.create:
            yield Check("slot", "ok", f"{settings.slot} will be created")
        else:
            detail = f"there is no {settings.slot}, and [source] create is false"
            yield Check("slot", "fail", detail, create_slot_statement(settings))
        yield _plugin(facts, settings)
        return
    another = "set [source] slot to another name"
    if slot.database != facts.database:
        owner = f"database {slot.database}" if slot.database else "a physical standby"
        yield Check("slot", "fail", f"{slot.name} belongs to {owner}", another)
    elif slot.plugin != settings.plugin:
        detail = f"{slot.name} was made with {slot.plugin}, not {settings.plugin}"
        yield Check("slot", "fail", detail, f'set [source] plugin = "{slot.plugin}", or {another}')
    elif slot.lost:
        detail = f"{slot.name} cannot be read any more: {slot.lost}. The tables will be copied again"
        yield Check("slot", "fail", detail, f"select pg_drop_replication_slot('{slot.name}')")
    elif slot.wal_status == "unreserved":
        detail = f"{slot.name} is about to lose the WAL that it needs"
        yield Check(
            "slot", "warn", detail, "alter system set max_slot_wal_keep_size = -1; select pg_reload_conf()"
        )
    elif slot.active_pid:
        yield Check("slot", "warn", f"{slot.holder} streams from {slot.name} now", "stop it before `cdc run`")
    else:
        yield Check("slot", "ok", f"{slot.name} is there and free")


def _plugin(facts: ServerFacts, settings: SourceSettings) -> Check:
    plugin = settings.plugin
    if not facts.plugin_error:
        return Check("plugin", "ok", plugin)
    allowed = facts.settings.get("output_plugin_libraries")
    if allowed is not None and plugin not in allowed:
        names = ", ".join(filter(None, [allowed, plugin]))
        fix = f"alter system set output_plugin_libraries = {names}; select pg_reload_conf()"
    else:
        fix = f'install {plugin} on the server (Debian: postgresql-{facts.version}-{plugin}), or set [source] plugin = "pgoutput"'
    return Check("plugin", "fail", facts.plugin_error, fix)


def judge_retention(facts: ServerFacts) -> Iterator[Check]:
    """How patient the server is with a slot and its reader."""
    timeout = int(facts.settings["wal_sender_timeout"] or 0)
    if 0 < timeout < 5000:
        fix = "alter system set wal_sender_timeout = '60s'; select pg_reload_conf()"
        yield Check("wal_sender_timeout", "warn", f"{timeout} ms is shorter than a network may hang", fix)
    else:
        yield Check("wal_sender_timeout", "ok", f"{timeout // 1000} s" if timeout else "off")
    kept = int(facts.settings["max_slot_wal_keep_size"] or -1)
    if kept < 0:
        detail = "without limit: while cdc is stopped, WAL grows until the disk is full"
        yield Check("max_slot_wal_keep_size", "ok", detail)
    else:
        detail = f"a slot that is {kept} MB behind is lost, and the tables are copied again"
        fix = "alter system set max_slot_wal_keep_size = -1; select pg_reload_conf()"
        yield Check(
            "max_slot_wal_keep_size", "warn" if kept < 1024 else "ok", detail, fix if kept < 1024 else ""
        )
    idle = int(facts.settings.get("idle_replication_slot_timeout") or 0)
    if idle:
        detail = f"a slot that cdc leaves alone for {idle} s is lost, and the tables are copied again"
        fix = "alter system set idle_replication_slot_timeout = 0; select pg_reload_conf()"
        yield Check("idle_replication_slot_timeout", "warn", detail, fix)
