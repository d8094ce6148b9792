"""The source's SQL for `cdc verify`: digests and hashes of a table as `cdc.digest` defines them.

Texts are made by `concat`, which calls a type's output function as the replication stream does; a cast to text would differ
for bool, char(n), inet, "char", xml and whatever a user has made a cast for.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import LiteralString

from psycopg import sql
from psycopg.sql import SQL, Composable, Composed, Identifier

from cdc.digest import (
    BUCKET_SHIFT,
    FLOAT,
    KEY_LENGTH,
    NUMBER,
    NUMBER_DIGITS,
    ONE_ZERO,
    Forms,
    is_plain,
    key_of,
)
from cdc.interfaces import Digest, Hashed
from cdc.schema import Column, Table
from cdc.source.connect import Connection

TEXT_OID, VARCHAR_OID = 25, 1043
ARGUMENTS = 96  # of one call: PostgreSQL takes 100
EXACT_ENCODINGS = ("UTF8", "SQL_ASCII")

FLOAT_TEXT: LiteralString = (
    "case when {x} = 'NaN' then 'NaN' when {x} = 'Infinity' then 'Infinity' when {x} = '-Infinity' then '-Infinity'"
    " else ltrim(to_char({x}::float8, '9.9999999999999999EEEE')) end"
)
FORMS = {
    FLOAT: SQL(FLOAT_TEXT),
    ONE_ZERO: SQL(FLOAT_TEXT.replace("{x}", "({x} + 0)")),
    NUMBER: SQL("trim_scale({x})"),
}
ELEMENTS = SQL(
    "case when {x} is not null then '{{' || array_to_string(array("
    "select {e} from unnest({x}) with ordinality as u (e, o) order by u.o), ',', 'NULL') || '}}' end"
)
# The volatile clock keeps the planner from merging the two levels, which would compute the hash twice; `offset 0` would
# do that too, but only in one process.
DIGESTS = SQL(
    "select n >> {shift}, count(*), sum(n) from (select ('x' || left(md5({row}), {digits}))::bit({bits})::bigint as n,"
    " clock_timestamp() from {table} as r) as hashed group by 1"
)
HASHES = SQL(
    'select md5({bytes}) collate "C", h, left(k, {length})'
    ' from (select {key} as k, "?hash" as h from (select {columns}, md5({row}) as "?hash", clock_timestamp() from {table} as r)'
    ' as r where left("?hash", 2) collate "C" = any({buckets})) as keyed'
    ' where md5({bytes}) collate "C" < {below} order by 1, h collate "C"'
)


class SourceDigests:
    """One table's digests over a connection, in its transaction. `source` is the table as a from-clause."""

    def __init__(self, connection: Connection, table: Table, source: Composable, forms: Forms) -> None:
        self._connection = connection
        self._table = table
        self._source = source
        self._forms = forms
        encoding = connection.info.parameter_status("server_encoding") or "UTF8"
        self._utf8 = SQL("{}") if encoding in EXACT_ENCODINGS else SQL("convert_to({}, 'UTF8')")

    def digests(self) -> dict[int, Digest]:
        query = DIGESTS.format(
            shift=BUCKET_SHIFT,
            digits=NUMBER_DIGITS,
            bits=SQL(str(4 * NUMBER_DIGITS)),
            row=self._row(),
            table=self._source,
        )
        rows = self._connection.execute(query).fetchall()
        return {bucket: Digest(count, int(total)) for bucket, count, total in rows}

    def hashes(self, buckets: Collection[int], below: str) -> Generator[Hashed]:
        key = key_of(self._table)
        query = HASHES.format(
            bytes=self._utf8.format(SQL("k")),
            length=KEY_LENGTH,
            key=_joined([each for index in key for each in self._framed(index, plain=False)]),
            columns=SQL(", ").join(Identifier(self._table.columns[index].name) for index in key),
            row=self._row(),
            table=self._source,
            buckets=sql.Literal([f"{bucket:02x}" for bucket in buckets]),
            below=sql.Literal(below),
        )
        with self._connection.cursor() as cursor:
            yield from map(Hashed._make, cursor.stream(query))

    def _row(self) -> Composable:
        """The bytes whose MD5 is the row hash."""
        columns = range(len(self._table.columns))
        return self._utf8.format(_joined([each for index in columns for each in self._framed(index)]))

    def _framed(self, index: int, *, plain: bool = True) -> list[Composable]:
        """The arguments of `concat` for a column."""
        column = self._table.columns[index]
        value = SQL("r.{}").format(Identifier(column.name))
        text = _in_form(value, column, self._forms[index])
        if plain and is_plain(column):
            return [text, SQL("';'")]
        return [self._length(text, column), SQL("':'"), text]

    def _length(self, text: Composable, column: Column) -> Composed:
        if column.type_oid in (TEXT_OID, VARCHAR_OID):
            return SQL("octet_length({})").format(self._utf8.format(text))
        # Not `is not null`, which is false for a composite that holds a NULL.
        length = SQL("case when {} is distinct from null then octet_length({}) end")
        return length.format(text, self._utf8.format(SQL("concat({})").format(text)))


def _in_form(value: Composable, column: Column, form: str) -> Composable:
    render = FORMS.get(form)
    if render is None:
        return value
    if column.type.kind == "array":
        return ELEMENTS.format(x=value, e=render.format(x=SQL("u.e")))
    return render.format(x=value)


def _joined(arguments: list[Composable]) -> Composed:
    """One text of any number of arguments."""
    calls = [arguments[start : start + ARGUMENTS] for start in range(0, len(arguments), ARGUMENTS)]
    return SQL(" || ").join(SQL("concat({})").format(SQL(", ").join(call)) for call in calls)


def count_rows(connection: Connection, source: Composable) -> int:
    row = connection.execute(SQL("select count(*) from {}").format(source)).fetchone()
    return row[0] if row else 0
