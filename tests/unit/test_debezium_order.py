"""Debezium's events in a subscriber's buffer: it numbers nothing, so order and duplicates are told by LSNs alone."""

from __future__ import annotations

import json

from cdc.events import Change
from cdc.format import FormatSettings
from cdc.interfaces import Mark
from cdc.wire import Decoder
from connectors.kafka.buffers import Buffer
from connectors.kafka.consuming import Received

PARTITION = ("p.public.t", 0)


def record(offset: int, key: int, lsn: int, last_commit: int | None, op: str = "c") -> Received:
    sequence = json.dumps([None if last_commit is None else str(last_commit), str(lsn)])
    source = {
        "schema": "public",
        "table": "t",
        "ts_ms": 0,
        "snapshot": "false",
        "sequence": sequence,
        "lsn": lsn,
    }
    row = {"id": key}
    value = {
        "op": op,
        "source": source,
        "before": row if op == "d" else None,
        "after": None if op == "d" else row,
    }
    return Received(
        *PARTITION, offset, json.dumps({"id": key}).encode(), json.dumps(value).encode(), headers=None
    )


def taken(*records: Received) -> list[tuple[str, object]]:
    buffer, decoder = Buffer(PARTITION, Mark(), 0), Decoder(FormatSettings(compat="debezium"), prefix="p")
    for each in records:
        buffer.add(each, decoder.decode(each), 0.0)
    found = []
    for event in buffer.events:
        assert isinstance(event, Change)
        found.append((event.op, (event.new or event.old or ())[0]))
    return found


def test_rows_of_one_wal_record_are_all_taken() -> None:
    """COPY writes many rows into one."""
    assert taken(record(0, 1, 50, 40), record(1, 2, 50, 40), record(2, 3, 50, 40)) == [
        ("c", b"1"),
        ("c", b"2"),
        ("c", b"3"),
    ]


def test_a_change_of_key_is_both_of_its_halves() -> None:
    assert taken(record(0, 1, 50, 40, "d"), record(1, 2, 50, 40, "c")) == [("d", b"1"), ("c", b"2")]


def test_what_a_restarted_connector_gives_again_is_left_out() -> None:
    first = [record(0, 1, 50, 40), record(1, 2, 60, 40)]
    again = [record(2, 1, 50, 40), record(3, 3, 55, 70)]
    assert taken(*first, *again) == [("c", b"1"), ("c", b"2"), ("c", b"3")]


def test_a_row_written_before_another_transaction_committed_is_not_old() -> None:
    """Transactions come in the order of their commits: the second one here began first."""
    assert taken(record(0, 1, 50, 40), record(1, 2, 45, 60)) == [("c", b"1"), ("c", b"2")]


def test_a_connector_without_a_past_goes_on_behind_what_was_applied() -> None:
    assert taken(record(0, 1, 50, 40), record(1, 2, 90, None)) == [("c", b"1"), ("c", b"2")]


def test_rows_of_a_snapshot_hide_nothing_that_is_streamed() -> None:
    """What was written while it was taken may have a lower LSN than the snapshot's."""
    assert taken(record(0, 1, 100, None, "r"), record(1, 2, 100, None, "r"), record(2, 1, 90, None)) == [
        ("r", b"1"),
        ("r", b"2"),
        ("c", b"1"),
    ]
