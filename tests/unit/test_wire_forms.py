"""The other forms of a record, names on the topics, and settings that make no sense."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cdc.errors import ConfigError
from cdc.events import INSERT
from cdc.format import FormatSettings
from cdc.schema import FULL, Column, LogicalType, Table
from cdc.wire import Decoder
from cdc.wire.json_text import quote_str
from cdc.wire.names import field_name, schema_name, topic_name
from tests.unit.test_wire import DELETED, INSERTED, change, records, value


def test_the_flat_form() -> None:
    (record,) = records(INSERTED, event_form="flat")
    expected = {"id": 1, "note": "hello", "amount": "1.50", "__deleted": "false", "__op": "c"}
    assert value(record) == {**expected, "__source_ts_ms": 1_700_000_000_123}
    deleted, tombstone = records(DELETED, event_form="flat")
    assert (value(deleted)["__deleted"], tombstone.value) == ("true", None)
    options = {
        "event_form": "flat",
        "flat_delete_tombstone_handling_mode": "tombstone",
        "flat_add_fields": [],
    }
    assert [record.value for record in records(DELETED, **options)] == [None]
    with pytest.raises(ConfigError):
        Decoder(FormatSettings(event_form="flat"), prefix="p")


def test_cloudevents() -> None:
    (record,) = records(INSERTED, event_form="cloudevents")
    shown = value(record)
    assert (shown["specversion"], shown["iodebeziumop"]) == ("1.0", "c")
    assert shown["time"] == "2023-11-14T22:13:20.123Z"
    assert shown["data"] == {"before": None, "after": {"id": 1, "note": "hello", "amount": "1.50"}}


def test_names() -> None:
    assert topic_name("p.Größe.a b$😀") == "p.Gr__e.a_b___"
    assert schema_name("p-x.1a.b", "avro") == "p_x.1a.b"
    assert field_name("1st", "avro") == "_1st"
    assert field_name("a_b-c", "avro_unicode") == "a_u005fb_u002dc"
    assert quote_str('a"\\\x01😀\u2028') == '"a\\"\\\\\\u0001\\uD83D\\uDE00\u2028"'.encode()


def test_two_columns_of_one_name_are_a_mistake_of_the_settings() -> None:
    columns = (Column("a b", LogicalType("int4")), Column("a_b", LogicalType("int4")))
    table = Table("public", "t", columns, (), FULL, (0, 1))
    with pytest.raises(ConfigError, match="a_b"):
        records(change(INSERT, None, (b"1", b"2"), table), field_name_adjustment_mode="avro")


@pytest.mark.parametrize(
    "wrong",
    [{"skipped_operations": ["x"]}, {"message_key_columns": ["t"]}, {"column_mask_with_chars": {"x": []}}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        msgspec.convert(wrong, FormatSettings)


def test_a_field_that_the_envelope_lacks_is_told() -> None:
    with pytest.raises(ConfigError, match=r"there is no field 'sorce\.lsn' to add.*known: .*source\.lsn"):
        records(INSERTED, event_form="flat", flat_add_fields=["sorce.lsn"])


def test_added_fields_may_have_other_names() -> None:
    (record,) = records(INSERTED, event_form="flat", flat_add_fields=["lsn:at", "transaction.id"])
    shown = value(record)
    assert isinstance(shown["__at"], int)
    assert shown["__transaction_id"] is None
