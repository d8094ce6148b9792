"""The forms of a data record's value: Debezium's envelope, the row alone, or a CloudEvent.

A form is given the pieces as JSON text and puts them together; it also says what a delete leaves on the topic.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from cdc.format import FormatSettings
from cdc.wire.connect_schema import wrapped
from cdc.wire.envelope import envelope_schema
from cdc.wire.json_text import NULL
from cdc.wire.names import schema_name
from cdc.wire.plan import Plan
from cdc.wire.source import source_schema


class Deleted(msgspec.Struct, frozen=True):
    """What a delete gives: its record, a tombstone, or both."""

    record: bool = True
    tombstone: bool = True


class Form(Protocol):
    """Puts a value together."""

    deleted: Deleted

    def __init__(self, settings: FormatSettings) -> None: ...

    def frame(self, plan: Plan) -> tuple[bytes, bytes] | None:
        """What stands before and behind the envelope, if `value` does no more than to put it together; else None."""

    def value(
        self,
        plan: Plan,
        op: str,
        before: bytes | None,
        after: bytes | None,
        source: bytes,
        transaction: bytes,
        times: bytes,
    ) -> bytes:
        """The value's JSON. `source` begins with its name; `times` are the fields ts_ms, ts_us and ts_ns."""


class Envelope:
    """Debezium's own."""

    def __init__(self, settings: FormatSettings) -> None:
        self.deleted = Deleted(tombstone=settings.tombstones_on_delete)
        self._settings = settings
        self._ops = {op: op.encode() for op in "cudtr"}
        self._wrappers: dict[Plan, tuple[bytes, bytes]] = {}

    def value(
        self,
        plan: Plan,
        op: str,
        before: bytes | None,
        after: bytes | None,
        source: bytes,
        transaction: bytes,
        times: bytes,
    ) -> bytes:
        inner = b'{"before":%b,"after":%b,%b,"transaction":%b,"op":"%b",%b}' % (
            before or NULL,
            after or NULL,
            source,
            transaction,
            self._ops[op],
            times,
        )
        return inner.join(self._wrapper(plan)) if self._settings.schemas_enable else inner

    def frame(self, plan: Plan) -> tuple[bytes, bytes]:
        return self._wrapper(plan) if self._settings.schemas_enable else (b"", b"")

    def _wrapper(self, plan: Plan) -> tuple[bytes, bytes]:
        found = self._wrappers.get(plan)
        if found is None:
            name = schema_name(f"{plan.topic}.Envelope", self._settings.schema_name_adjustment_mode)
            schema = envelope_schema(name, plan.row_type, source_schema(exact=self._settings.exact))
            found = self._wrappers[plan] = wrapped(schema)
        return found


def form_of(settings: FormatSettings) -> Form:
    """The form that `event_form` names."""
    from cdc.wire.cloudevents import CloudEvents
    from cdc.wire.flat import Flat

    forms: dict[str, type[Form]] = {"flat": Flat, "cloudevents": CloudEvents}
    return forms.get(settings.event_form, Envelope)(settings)
