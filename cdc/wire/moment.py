"""Now, as the encoder's tables share it: renewed once in a while, because asking costs time on every record."""

from __future__ import annotations


class Moment:
    """`times` are the three fields that end an envelope, `us` is microseconds since the epoch."""

    def __init__(self) -> None:
        self.times = b""
        self.us = 0

    def set(self, ns: int) -> None:
        micros, millis = ns // 1000, ns // 1_000_000
        self.times = b'"ts_ms":%d,"ts_us":%d,"ts_ns":%d' % (millis, micros, ns)
        self.us = micros
