"""The part of `cdc check` that is about tables: named at all, in the WAL, readable, and with rows that can be told apart."""

from __future__ import annotations

from collections.abc import Iterator

from cdc.check import Check
from cdc.config import SourceSettings
from cdc.source.catalog import PARTITIONED, UNLOGGED
from cdc.source.examine import CapturedFacts, PartFacts, ServerFacts
from cdc.source.publication import quoted


def judge_tables(facts: ServerFacts, settings: SourceSettings) -> Iterator[Check]:
    if not facts.captured:
        there = f"; there are {', '.join(facts.existing)}" if facts.existing else "; the database has none"
        named = f"[source] tables = {settings.tables} names no table that can be captured{there}"
        yield Check("tables", "fail", named, "set [source] tables in config.toml to globs such as public.*")
    else:
        yield Check("tables", "ok", f"{len(facts.captured)} captured")
    for candidate in facts.candidates:
        if candidate.reason_not:
            fix = f'add "{candidate}" to [source] exclude_tables'
            if candidate.persistence == UNLOGGED:
                fix = f"alter table {candidate.table.quoted} set logged"
            yield Check(f"table {candidate}", "warn", f"it is not captured: {candidate.reason_not}", fix)
    for each in facts.captured:
        if settings.plugin == "wal2json" and each.candidate.kind == PARTITIONED:
            detail = "wal2json streams partitions, not their root"
            yield Check(
                f"table {each.candidate}", "fail", detail, 'set [source] plugin = "pgoutput" in config.toml'
            )
        yield from _judge(each, facts, settings)


def _judge(captured: CapturedFacts, facts: ServerFacts, settings: SourceSettings) -> Iterator[Check]:
    table = captured.candidate.table
    name, role = f"table {table}", quoted(facts.role)
    problems = False
    if not captured.schema_usage:
        problems = True
        fix = f"grant usage on schema {quoted(table.schema)} to {role}"
        yield Check(name, "fail", f"{facts.role} may not use its schema", fix)
    if not captured.select:
        problems = True
        fix = f"grant select on {table.quoted} to {role}"
        yield Check(name, "fail", f"{facts.role} may not read it, which a snapshot must", fix)
    if captured.filtered:
        problems = True
        detail = f"row-level security hides rows from {facts.role}, and the stream would bring them"
        yield Check(name, "fail", detail, f"alter role {role} bypassrls")
    without = [part for part in captured.parts if not part.usable]
    if without:
        problems = True
        fix = "; ".join(map(_identity, without))
        which = (
            ""
            if captured.candidate.kind == "r"
            else f" (partitions {', '.join(part.name for part in without)})"
        )
        why = (
            "no primary key"
            if all(part.identity == "d" for part in without)
            else "no usable replica identity"
        )
        published = settings.plugin == "pgoutput"
        then = "once published, PostgreSQL refuses its" if published else "wal2json leaves out its"
        detail = f"{why}{which}: {then} updates and deletes"
        yield Check(name, "fail", detail, fix)
    if not problems:
        yield Check(name, "ok", "rows are matched whole" if _whole(captured) else "rows are matched by key")


def _identity(part: PartFacts) -> str:
    """An index if there is one: FULL writes every old row to the WAL."""
    how = f"using index {part.unique_index}" if part.unique_index else "full"
    return f"alter table {part.name} replica identity {how}"


def _whole(captured: CapturedFacts) -> bool:
    return not captured.primary_key and any(part.identity == "f" for part in captured.parts)
