"""Names on the topics: what of a table's name may stand in a topic's, and in Avro's.

A character that is not allowed becomes an underscore each, so two tables may share a topic; their records still say which
table they are of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cdc.format import FormatSettings

LONGEST_TOPIC = 249  # Kafka's limit
_OF_CDC = re.compile(r"\Wcdc-(schemas|progress|dead-letters)$")
_LETTERS = re.compile(r"\Wcdc-dead-letters$")
_NOT_TOPIC = re.compile(r"[^A-Za-z0-9._-]")


def topic_name(name: str) -> str:
    """The name with an underscore for each UTF-16 unit that Kafka does not allow."""
    safe = _NOT_TOPIC.sub(lambda match: "_" * _units(match[0]), name)[:LONGEST_TOPIC]
    return safe.replace(".", "_") if safe in (".", "..") else safe


def schema_name(name: str, mode: str) -> str:
    """A schema's name as `schema_name_adjustment_mode` has it."""
    return _adjusted(name, mode, ".")


def field_name(name: str, mode: str) -> str:
    """A field's name as `field_name_adjustment_mode` has it."""
    return _adjusted(name, mode, "")


def _adjusted(name: str, mode: str, also: str) -> str:
    """Avro's names: letters, digits and underscores, no digit in front. Where `_` begins an escape, it is escaped too."""
    if mode == "none" or not name:
        return name
    letters = "A-Za-z_" if mode == "avro" else "A-Za-z"
    replace = _underscores if mode == "avro" else _escapes
    head, rest = name[0], name[1:]
    if not re.match(f"[{letters}]", head):
        head = replace(head) + (head if mode == "avro" and head.isdecimal() else "")
    return head + re.sub(f"[^{letters}0-9{also}]", lambda match: replace(match[0]), rest)


def _underscores(character: str) -> str:
    return "_" * _units(character)


def _escapes(character: str) -> str:
    return "".join(f"_u{unit:04x}" for unit in _code_units(character))


def _code_units(text: str) -> Iterable[int]:
    raw = text.encode("utf-16-be")
    return [high << 8 | low for high, low in zip(raw[::2], raw[1::2], strict=True)]


def _units(text: str) -> int:
    return len(text.encode("utf-16-be")) // 2


class Topics:
    """Every topic's name under one prefix."""

    def __init__(self, settings: FormatSettings, prefix: str) -> None:
        join = settings.topic_delimiter.join
        self._settings = settings
        self._prefix = prefix
        self.transaction = join((prefix, settings.topic_transaction))
        self.heartbeat = join((settings.topic_heartbeat_prefix, prefix))
        self.message = f"{prefix}.message"  # whatever the delimiter is, as Debezium has it
        self.schemas = join((prefix, "cdc-schemas"))
        self._others = {self.transaction, self.heartbeat, self.message, self.schemas}
        self._start = join((prefix, ""))

    def has(self, topic: str) -> bool:
        """Is it one of those under the prefix?"""
        return topic.startswith(self._start) or topic in self._others

    def is_table(self, topic: str) -> bool:
        """Is it under the prefix, and of a table?"""
        return topic.startswith(self._start) and topic not in self._others and not _OF_CDC.search(topic)

    def may_have_letters(self, topic: str) -> bool:
        """Can a topic of this name be for dead letters, and be taken for nothing else?"""
        return not self.has(topic) or _LETTERS.search(topic) is not None

    def of_table(self, schema: str, name: str) -> str:
        return topic_name(self._settings.topic_delimiter.join((self._prefix, schema, name)))


def matcher(patterns: Iterable[str]) -> re.Pattern[str]:
    """Matches what any of Debezium's regular expressions matches whole, in any case."""
    return re.compile("|".join(f"(?:{pattern.strip()})" for pattern in patterns) or r"(?!)", re.IGNORECASE)
