"""Kafka's errors, classified once, from both clients: what may pass, what a person must mend, and how.

Errors of the brokers have the same numbers in both clients. What happens on this side of the wire has negative numbers in
librdkafka and classes in kafka-python.
"""

from __future__ import annotations

import re
import ssl
from typing import Any, NamedTuple

from cdc.errors import CdcError, TransportError, TransportUnavailable


class Known(NamedTuple):
    """What an error means, and what a person does."""

    why: str
    hint: str
    kind: type[TransportError] = TransportError


CREDENTIALS = Known(
    "the broker does not accept these credentials", "see username, password and sasl_mechanism in [transport]"
)
TLS = Known(
    "there is no trust over TLS",
    "see ssl_ca, which must have signed the brokers' certificates, ssl_certificate and ssl_key in [transport]",
)
AWAY = Known(
    "the brokers cannot be reached",
    "see bootstrap_servers in [transport], and whether they run",
    TransportUnavailable,
)
NO_TOPIC = Known("there is no such topic or partition", "it may have been deleted: `cdc run` makes it again")
OUT_OF_RANGE = Known(
    "records that are still needed are not on the topic any more",
    "it was made anew, or its retention is too short; `cdc resync TABLE` fills the table again",
)
SLOW = Known("the brokers have not answered in time", "it is tried again", TransportUnavailable)
FENCED = Known(
    "another reader writes with the same topic_prefix", "stop one of them, or give it another topic_prefix"
)
TOO_LARGE = Known(
    "the record is larger than its topic allows",
    "see oversized in [transport], or raise the topic's max.message.bytes",
)
OUT_OF_SYNC = Known(
    "not enough replicas are in sync",
    "see the topic's min.insync.replicas, and the brokers",
    TransportUnavailable,
)
ELECTING = Known("the partition is between two leaders", "it is tried again", TransportUnavailable)
NO_MECHANISM = Known("the brokers do not offer this SASL mechanism", "see sasl_mechanism in [transport]")

KNOWN: dict[int, Known] = {
    1: OUT_OF_RANGE,
    3: NO_TOPIC,
    5: ELECTING,
    6: ELECTING,
    7: SLOW,
    10: TOO_LARGE,
    17: Known("the topic's name is not one for Kafka", "see topic_prefix in [transport]"),
    18: TOO_LARGE,
    19: OUT_OF_SYNC,
    20: OUT_OF_SYNC,
    29: Known(
        "this user may not use the topic",
        "grant Describe, Read, Write, Create and DescribeConfigs on topics with the prefix",
    ),
    30: Known("this user may not use the consumer group", "grant Read on groups with the prefix"),
    31: Known("this user may not do that to the cluster", "grant Create and IdempotentWrite on the cluster"),
    33: NO_MECHANISM,
    35: Known("the brokers are too old", "Kafka 2.1 is the oldest that will do"),
    38: Known("the brokers are fewer than replication_factor", "see replication_factor in [transport]"),
    40: Known("a setting of the topic is not one that Kafka has", "see topic in [transport]"),
    44: Known("the brokers' policy forbids it", "ask those who run them"),
    47: FENCED,
    53: Known(
        "this user may not use the transactional id",
        "grant Write and Describe on transactional ids with the prefix",
    ),
    58: CREDENTIALS,
    90: FENCED,
    -140: OUT_OF_RANGE,
    -144: FENCED,
    -150: Known("the client has given up", "it is tried again", TransportUnavailable),
    -169: CREDENTIALS,
    -181: TLS,
    -185: SLOW,
    -187: AWAY,
    -188: NO_TOPIC,
    -190: NO_TOPIC,
    -192: SLOW,
    -193: AWAY,
    -195: AWAY,
}
BY_CLASS = {
    "KafkaConnectionError": AWAY,
    "NoBrokersAvailable": AWAY,
    "NodeNotReadyError": AWAY,
    "KafkaTimeoutError": SLOW,
    "NoOffsetForPartitionError": OUT_OF_RANGE,
}  # of kafka-python
PASSING = {-187, -195, -193, -192, -185, -147, 3, 5, 6, 7, 14, 15, 16}
"""What librdkafka reports and gets over by itself."""


MESSAGE = re.compile(r"error_message=(['\"])(.*?)\1, ")


def number(error: Any) -> int:
    """The error's number; 0 if it has none."""
    code = getattr(error, "code", None)
    found = code() if callable(code) else getattr(error, "errno", 0)
    return found if isinstance(found, int) else 0


def unwrapped(error: Any) -> Any:
    """librdkafka's error is inside of the exception."""
    inner = error.args[0] if isinstance(error, Exception) and error.args else None
    return inner if callable(getattr(inner, "code", None)) else error


def classify(error: Any, *, what: str, where: str = "") -> CdcError:
    """The error for a person, for whatever a client raised or reported."""
    if isinstance(error, CdcError):
        return error
    error = unwrapped(error)
    text = _text(error)
    known = KNOWN.get(number(error)) or BY_CLASS.get(type(error).__name__)
    if isinstance(error, ssl.SSLError) or "certificate verify failed" in text.lower():
        known = TLS
    elif isinstance(error, FileNotFoundError):
        known = Known("a certificate's file is not there", TLS.hint)
    elif known is AWAY and "sasl" in text.lower() and "authentication" in text.lower():
        known = CREDENTIALS
    if known is None:
        retriable = getattr(error, "retriable", False)
        again = retriable() if callable(retriable) else retriable
        kind = TransportUnavailable if again or isinstance(error, OSError) else TransportError
        return kind(what, why=text, where=where)
    return known.kind(what, why=f"{known.why} – {text}" if text else known.why, where=where, hint=known.hint)


def _text(error: Any) -> str:
    """The client's own words, on one line; of a whole answer of the brokers', their message."""
    said = getattr(error, "str", None)
    text = said() if callable(said) else str(error)
    if message := MESSAGE.search(text):
        text = message[2]
    return " ".join(text.split()) or type(error).__name__
