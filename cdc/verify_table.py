"""Compares one table of the source with that of each warehouse: digests first, then the rows of the buckets that differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
from psycopg import sql

from cdc.compare import compare
from cdc.config import SourceSettings
from cdc.digest import BUCKETS, Forms, describe_key
from cdc.errors import Incomparable, SourceError, SourceUnavailable
from cdc.interfaces import Digest, View
from cdc.report import TableReport
from cdc.schema import Table
from cdc.source.catalog import Catalog
from cdc.source.connect import Connection, where
from cdc.source.digest import SourceDigests, count_rows
from cdc.source.failures import explain
from cdc.source.lookup import from_clause
from cdc.source.publication import TableName

SORTED = 5_000_000  # rows that each side sorts to find those that differ; beyond, only a part of the keys is looked at
EVERY_KEY = "g"  # is greater than any hex digit

SEEN_SINCE = """
    select c.relkind, c.relfilenode <> pg_relation_filenode(c.oid) or exists (
        select from pg_partition_tree(c.oid) tree join pg_class leaf on leaf.oid = tree.relid
        where tree.isleaf and leaf.relfilenode <> pg_relation_filenode(leaf.oid))
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and c.relname = %s"""


class TableComparison:
    """One run over several tables. The warehouses work in `threads`, the source in the caller's."""

    def __init__(
        self,
        settings: SourceSettings,
        connection: Connection,
        views: Mapping[str, View],
        threads: ThreadPoolExecutor,
        limit: int,
        progress: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._views = views
        self._threads = threads
        self._limit = limit
        self._progress = progress

    def compare(self, name: TableName) -> list[TableReport]:
        """The table in every warehouse. Raises CdcError."""
        self._progress(f"{name}: comparing checksums")
        try:
            # In a savepoint: once it is over, nobody who alters the table waits for the rest of the run.
            with self._connection.transaction(force_rollback=True):
                return self._compare(name)
        except psycopg.Error as error:
            raise _unreadable(error, name, self._settings, self._connection.info.user) from error

    def _compare(self, name: TableName) -> list[TableReport]:
        table, source = self._shape(name)
        forms: dict[str, Forms | None] = {}
        reports = []
        for warehouse, view in self._views.items():
            try:
                forms[warehouse] = view.forms(table)
            except Incomparable as error:
                reports.append(_incomparable(name, warehouse, error))
        theirs = {
            warehouse: self._threads.submit(self._views[warehouse].digests, table)
            for warehouse, form in forms.items()
            if form is not None
        }
        ours: dict[Forms, Mapping[int, Digest]] = {}
        for warehouse, form in forms.items():
            begun = time.monotonic()
            if form is None:
                report = self._absent(name, source, warehouse)
            else:
                digests = SourceDigests(self._connection, table, source, form)
                if form not in ours:
                    ours[form] = digests.digests()
                report = self._judge(table, warehouse, digests, ours[form], theirs[warehouse].result())
            report.seconds = round(time.monotonic() - begun, 3)
            reports.append(report)
        return reports

    def _shape(self, name: TableName) -> tuple[Table, sql.Composable]:
        """The table as of the moment, and its from-clause."""
        self._connection.execute(sql.SQL("lock table {} in access share mode").format(sql.Identifier(*name)))
        # To a snapshot that is older than a TRUNCATE or a rewrite, the table looks empty. The catalog's rows are as
        # of the snapshot, the function tells what is now.
        row = self._connection.execute(SEEN_SINCE, name).fetchone()
        if row is None or row[1]:
            raise SourceUnavailable(
                f"{name} cannot be compared",
                why="it was truncated or rewritten just after the snapshot was taken",
                hint="try again",
            )
        publication = self._settings.publication if self._settings.plugin == "pgoutput" else ""
        excluded = self._settings.exclude_columns
        catalog = Catalog(self._connection, exclude_columns=excluded, publication=publication)
        table = catalog.table(*name)
        return table, from_clause(table, row[0])

    def _absent(self, name: TableName, source: sql.Composable, warehouse: str) -> TableReport:
        return TableReport(
            table=str(name),
            warehouse=warehouse,
            equal=False,
            source_rows=count_rows(self._connection, source),
            target_rows=0,
            problem="the target has no such table",
            mend="`cdc run` copies it",
        )

    def _judge(
        self,
        table: Table,
        warehouse: str,
        digests: SourceDigests,
        ours: Mapping[int, Digest],
        theirs: Mapping[int, Digest],
    ) -> TableReport:
        report = TableReport(
            table=table.full_name,
            warehouse=warehouse,
            equal=ours == theirs,
            source_rows=_rows(ours, range(BUCKETS)),
            target_rows=_rows(theirs, range(BUCKETS)),
        )
        if not report.equal:
            buckets = [bucket for bucket in range(BUCKETS) if ours.get(bucket) != theirs.get(bucket)]
            self._find(report, table, digests, buckets, max(_rows(ours, buckets), _rows(theirs, buckets)))
        return report

    def _find(
        self, report: TableReport, table: Table, digests: SourceDigests, buckets: list[int], rows: int
    ) -> None:
        """Find which rows of these buckets differ."""
        parts = -(-rows // SORTED)
        below = EVERY_KEY if parts == 1 else f"{(1 << 32) // parts:08x}"
        report.sampled = None if parts == 1 else round(1 / parts, 6)
        self._progress(f"{table.full_name}: they differ, looking for the rows")
        view = self._views[report.warehouse]
        with (
            closing(digests.hashes(buckets, below)) as ours,
            closing(view.hashes(table, buckets, below)) as theirs,
        ):
            found = compare(ours, theirs, self._limit)
        report.missing, report.unexpected, report.different = found.missing, found.unexpected, found.different
        report.missing_keys = [describe_key(table, key) for key in found.missing_keys]
        report.unexpected_keys = [describe_key(table, key) for key in found.unexpected_keys]
        report.different_keys = [describe_key(table, key) for key in found.different_keys]


def _incomparable(name: TableName, warehouse: str, error: Incomparable) -> TableReport:
    return TableReport(
        table=str(name), warehouse=warehouse, equal=True, source_rows=0, target_rows=0, problem=error.what
    )


def _rows(digests: Mapping[int, Digest], buckets: range | list[int]) -> int:
    return sum(digests[bucket].rows for bucket in buckets if bucket in digests)


def _unreadable(error: psycopg.Error, name: TableName, settings: SourceSettings, role: str) -> SourceError:
    """Why the source's rows cannot be read."""
    what, place = f"{name} cannot be compared", where(settings)
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        why = "it was dropped or altered just after the snapshot was taken"
        return SourceUnavailable(what, why=why, hint="try again", where=place)
    told = explain(error, what, where=place)
    hint = told.hint
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        role = sql.Identifier(role).as_string()
        guarded = "row-level security" in told.why
        hint = f"`alter role {role} bypassrls`" if guarded else f"`grant select on {name.quoted} to {role}`"
    return type(told)(what, why=told.why, hint=hint, where=place)
