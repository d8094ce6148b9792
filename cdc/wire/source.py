"""The `source` block: where a record comes from. Most of it is the same for a table's rows in one transaction.

Debezium's fields come first and in its order. Ours, which `compat` moves to a header so that readers of Debezium's schema see
what they know: `schema_id` names the table's schema on the schemas topic, `commit_lsn` and `ordinal` are the exact position.
"""

from __future__ import annotations

import msgspec

from cdc.lsn import Lsn
from cdc.schema import Table
from cdc.wire.connect_schema import INT64, STRING, ConnectField, semantic, struct
from cdc.wire.json_text import NULL, quote_str

POSITION_HEADER = "cdc.source"
"""Under `compat`: schema id, commit LSN, ordinal, with blanks between; `-` for what a record has not."""
UNSENT_HEADER = "cdc.unsent"
"""Where a placeholder stands for values that PostgreSQL did not send: a JSON array of the columns' names."""

SNAPSHOT_MARKS = "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"
_MARKS = semantic(STRING, "io.debezium.data.Enum", allowed=SNAPSHOT_MARKS)


class Told(msgspec.Struct, gc=False):
    """What every reader of the block wants to know, of a record by us or by Debezium."""

    lsn: int | None = None
    ts_ms: int = 0
    ts_us: int | None = None
    txId: int | None = None

    @property
    def us(self) -> int:
        """The time of the commit, in microseconds."""
        return self.ts_ms * 1000 if self.ts_us is None else self.ts_us


def _int(name: str) -> ConnectField:
    return ConnectField(INT64, optional=True, field=name)


def source_schema(*, exact: bool) -> ConnectField:
    """The schema of the block."""
    text = [
        ConnectField(STRING, field=name) for name in ("version", "connector", "name", "db", "schema", "table")
    ]
    version, connector, name, db, schema, table = text
    fields = [
        *(version, connector, name, ConnectField(INT64, field="ts_ms")),
        ConnectField(_MARKS, optional=True, field="snapshot", default=b'"false"'),
        *(
            db,
            ConnectField(STRING, optional=True, field="sequence"),
            _int("ts_us"),
            _int("ts_ns"),
            schema,
            table,
        ),
        *(_int("txId"), _int("lsn"), _int("xmin"), ConnectField(STRING, optional=True, field="origin")),
        _int("origin_lsn"),
    ]
    if exact:
        fields += [
            ConnectField(STRING, optional=True, field="schema_id"),
            _int("commit_lsn"),
            _int("ordinal"),
        ]
    return ConnectField(struct("io.debezium.connector.postgresql.Source", *fields, version=1), field="source")


class SourceWriter:
    """Writes the block's pieces. `name` is the topic prefix, `database` the source's."""

    def __init__(self, name: str, database: str, version: str, *, exact: bool, filled: bool = True) -> None:
        """`filled`: a converter fills in the mark of what was streamed, which Debezium itself leaves to the schema's default."""
        self.exact = exact
        self._streamed = b'"false"' if exact or filled else NULL
        self._head = b'"source":{"version":%b,"connector":"postgresql","name":%b,"ts_ms":' % (
            quote_str(version),
            quote_str(name),
        )
        self._database = quote_str(database)

    def pieces(
        self,
        table: Table | None,
        commit_us: int,
        xid: int | None,
        last_commit: Lsn | None,
        mark: bytes = b"",
    ) -> tuple[bytes, bytes]:
        """What stands before the row's LSN in `sequence`, and from there to before it in `lsn`."""
        last = NULL if last_commit is None else b'\\"%d\\"' % last_commit
        before = b'%b%d,"snapshot":%b,"db":%b,"sequence":"[%b,\\"' % (
            self._head,
            commit_us // 1000,
            b'"%b"' % mark if mark else self._streamed,
            self._database,
            last,
        )
        schema, name = (table.schema, table.name) if table else ("", "")
        between = b'\\"]","ts_us":%d,"ts_ns":%d,"schema":%b,"table":%b,"txId":%b,"lsn":' % (
            commit_us,
            commit_us * 1000,
            quote_str(schema),
            quote_str(name),
            NULL if xid is None else b"%d" % xid,
        )
        return before, between

    def behind(self, table: Table | None, commit_lsn: Lsn) -> bytes:
        """What follows the LSN, up to the ordinal where there is one."""
        rest = b',"xmin":null,"origin":null,"origin_lsn":null'
        if not self.exact:
            return rest
        schema_id = quote_str(table.fingerprint) if table else NULL
        return b'%b,"schema_id":%b,"commit_lsn":%d,"ordinal":' % (rest, schema_id, commit_lsn)
