"""Dead letters for a topic: what stands in them, what may, and that none is passed over by a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from cdc.errors import TransportUnavailable
from cdc.events import Chunk, Control
from cdc.format import FormatSettings
from cdc.interfaces import Checkpoint
from cdc.letter_box import LetterBox
from cdc.lsn import Position
from cdc.modes.parking import parked_tables
from cdc.schema import Column, LogicalType, Table
from cdc.wire.decoder import AnyRecord
from cdc.wire.letters import LetterRecords, size
from tests.unit.test_refusals import K, Kept, T, insert

INT8 = LogicalType("int8")
PAIR = Table(
    "public",
    "pair",
    (Column("b", LogicalType("text")), Column("a", INT8, nullable=False), Column("v", LogicalType("text"))),
    primary_key=(1, 0),
    identity=(0, 1),
)


class Topic:
    """Takes records, or fails to."""

    def __init__(self, limit: int = 1 << 20) -> None:
        self.limit = limit
        self.records: list[AnyRecord] = []
        self.is_away = False

    def put(self, records: Iterable[AnyRecord]) -> None:
        if self.is_away:
            raise TransportUnavailable("records cannot be written")
        self.records += records

    def close(self) -> None: ...

    def values(self) -> list[dict[str, Any]]:
        return [json.loads(record.value or b"") for record in self.records]


class Told(Kept):
    """A strict warehouse that tells of refused rows on a topic, which is asked what it has at each commit."""

    def __init__(self, topic: Topic, form: FormatSettings | None = None, **values: Any) -> None:
        super().__init__(refused="park_row", **values)
        self.topic = topic
        records = LetterRecords(form or FormatSettings(), prefix="shop", topic="dlq", warehouse="w")
        self.box = LetterBox(records, topic, lambda: 1_700_000_000_000_000)
        self.tell = self.box.tell
        self.mended = lambda table, _: self.box.mended(table)


def rows(topic: Topic) -> list[tuple[str, str]]:
    return [(each["kind"], each.get("key", "")) for each in topic.values()]


def test_a_letter_says_which_row_it_is_where_it_stands_and_why_it_was_refused() -> None:
    kept = Told(topic := Topic())
    kept.run(kept.batch(insert(T, "1", "a"), insert(T, "3", "bad secret"), insert(T, "4", "b")))
    assert kept.rows() == [("1", "a"), ("4", "b")]
    [record] = topic.records
    assert (record.key, record.headers) == (
        b'{"id":"3"}',  # as on the topic shop.public.t
        [
            ("cdc.kind", b"row"),
            ("cdc.warehouse", b"w"),
            ("cdc.table", b"public.t"),
            ("cdc.topic", b"shop.public.t"),
            ("cdc.position", b"0000000000000001.0000000002"),
            ("cdc.reason", b"public.t.v: 1 value cannot be kept"),
            ("cdc.column", b"v"),
        ],
    )
    assert topic.values() == [
        {
            "kind": "row",
            "warehouse": "w",
            "table": "public.t",
            "key": '{"id": "3"}',
            "position": "0000000000000001.0000000002",
            "commit_lsn": "0/1",
            "ordinal": 2,
            "column": "v",
            "reason": "public.t.v: 1 value cannot be kept",
            "row": None,
            "at": "1970-01-01T00:00:00.000000Z",
        }
    ]
    assert parked_tables(kept.warehouse.state().controls)["public.t"].rows == 1
    assert "public._cdc_dead_letters" not in kept.warehouse.tables


@pytest.mark.parametrize(
    ("data", "key", "row"),
    [("none", None, None), ("key", b'{"id":"3"}', None), ("row", b'{"id":"3"}', {"id": "3", "v": "bad x"})],
)
def test_a_letter_has_no_more_of_the_row_than_it_may(data: Any, key: bytes | None, row: Any) -> None:
    kept = Told(topic := Topic(), dead_letters=data)
    kept.run(kept.batch(insert(T, "3", "bad x"), (K, "c", None, (b"k", b"bad y"))))
    [first, second] = topic.values()
    assert (topic.records[0].key, topic.records[1].key) == (key or first["key"].encode(), None)
    assert first["key"].startswith("{" if key else "md5:")
    assert first["row"] == row
    assert second["key"].startswith("md5:")
    if data == "none":
        assert all(b'"3"' not in (each.key or b"") + (each.value or b"") for each in topic.records)
    if data != "row":
        assert all(b"bad" not in (each.key or b"") + (each.value or b"") for each in topic.records)


def test_the_key_is_as_on_the_tables_own_topic_in_the_form_that_is_configured() -> None:
    form = FormatSettings(schemas_enable=True, message_key_columns=["public.pair:v"])
    kept = Told(topic := Topic(), form)
    kept.run(kept.batch((PAIR, "c", None, (b"bad", b"7", b"x"))))
    assert json.loads(topic.records[0].key or b"")["payload"] == {"v": "x"}
    kept = Told(topic := Topic())
    kept.run(kept.batch((PAIR, "d", (b"bad", b"7", None), None)))
    assert json.loads(topic.records[0].key or b"") == {"a": 7, "b": "bad"}
    assert topic.values()[0]["key"] == '{"a": "7", "b": "bad"}'


def test_a_letter_over_the_topics_limit_loses_the_rows_values_and_then_its_key() -> None:
    large = "bad" + "x" * 5000
    kept = Told(topic := Topic(limit=2000), dead_letters="row")
    kept.run(kept.batch(insert(T, "3", large), insert(T, large, "bad")))
    assert all(size(each) <= 2000 for each in topic.records)  # type: ignore[arg-type]
    [first, second] = topic.values()
    assert (first["key"], first["row"], second["key"]) == ('{"id": "3"}', None, None)
    assert ("cdc.value", b"left out") in (topic.records[0].headers or ())


def test_no_checkpoint_passes_a_row_that_was_not_told() -> None:
    kept = Told(topic := Topic())
    batch = kept.batch(insert(T, "1", "a"), insert(T, "3", "bad"))
    topic.is_away = True
    with pytest.raises(TransportUnavailable):
        kept.run(batch)
    assert kept.warehouse.state() == Checkpoint()
    topic.is_away = False
    kept.run(batch)
    assert rows(topic) == [("row", '{"id": "3"}')]
    assert kept.rows() == [("1", "a")]


def test_what_is_told_twice_is_told_with_the_same_position() -> None:
    """As the warehouse's commit has failed; also if the batches are cut otherwise then."""
    kept = Told(topic := Topic())
    first, second = kept.batch(insert(T, "3", "bad")), kept.batch(insert(T, "4", "bad"))
    both = kept.batch()
    commit, kept.warehouse.commit = kept.warehouse.commit, fail  # type: ignore[method-assign]
    with pytest.raises(TransportUnavailable):
        kept.run(first)
    kept.warehouse.commit = commit  # type: ignore[method-assign]
    kept.run(type(both)([*first.events, *second.events], second.checkpoint, 2, 1, 0))
    assert [each["position"] for each in topic.values()] == [f"{n:016x}.{1:010x}" for n in (1, 1, 2)]
    assert parked_tables(kept.warehouse.state().controls)["public.t"].rows == 2


def fail(_checkpoint: Checkpoint) -> None:
    raise TransportUnavailable("the machine died")


def test_a_copy_ends_what_was_told_before_and_tells_anew_what_is_still_refused() -> None:
    kept = Told(topic := Topic())
    kept.run(kept.batch(insert(T, "3", "bad"), insert(T, "4", "bad")))
    chunk = Chunk(T, b"3,bad\n4,good\n", 2, Position(5, 1), Control("copy:public.t", b"x"), first=True)
    kept.run(type(kept.batch())([chunk], Checkpoint(), 2, 1, 0))
    assert rows(topic)[2:] == [("mended", ""), ("row", '{"id": "3"}')]
    assert topic.values()[2] == {
        **{"kind": "mended", "warehouse": "w", "table": "public.t", "at": "2023-11-14T22:13:20.000000Z"}
    }
    assert topic.records[2].key is None
    assert parked_tables(kept.warehouse.state().controls)["public.t"].rows == 1
    assert "public._cdc_dead_letters" not in kept.warehouse.tables


def test_what_the_table_tells_ends_with_a_copy_also_if_letters_go_to_a_topic_by_now() -> None:
    kept = Told(topic := Topic())
    tell, kept.tell = kept.tell, None  # type: ignore[assignment]
    kept.run(kept.batch(insert(T, "3", "bad")))
    assert len(kept.rows("public._cdc_dead_letters")) == 1
    kept.tell = tell
    kept.run(kept.batch(insert(T, "4", "bad")))
    kept.run(kept.batch(insert(T, "5", "a")))
    assert parked_tables(kept.warehouse.state().controls)["public.t"].in_topic == 1
    chunk = Chunk(T, b"3,a\n4,b\n", 2, Position(9, 1), Control("copy:public.t", b"x"), first=True)
    kept.run(type(kept.batch())([chunk], Checkpoint(), 2, 1, 0))
    assert kept.rows("public._cdc_dead_letters") == []
    assert rows(topic) == [("row", '{"id": "4"}'), ("mended", "")]
