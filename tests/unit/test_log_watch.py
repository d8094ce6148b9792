"""How far a warehouse is behind the log: asked beside whoever asks for a status, and zero only when that is proved."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from cdc.config import Config, SourceSettings, TransportSettings
from cdc.lag import PROVED, telling
from cdc.log_watch import LogWatch
from cdc.status import PartitionLag, TableLag, WarehouseStatus


class Brokers:
    """Answer once they are let."""

    def __init__(self) -> None:
        self.records = 0
        self.proved_at: float | None = None
        self.answering = threading.Event()
        self.asked = threading.Semaphore(0)

    def prefix(self, _: object) -> str:
        return "shop"

    def last_control(self, _: object, key: str) -> bytes | None:
        return None if self.proved_at is None else {PROVED: telling(self.proved_at).value}[key]

    def lag(self, *_: object) -> list[PartitionLag]:
        self.answering.wait(30)
        self.asked.release()
        return [
            PartitionLag(topic="shop.t", partition=0, applied=1, end=1 + self.records, records=self.records)
        ]


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    brokers = Brokers()
    monkeypatch.setattr("cdc.log_watch.registry", SimpleNamespace(transport=lambda _: brokers))
    return brokers


CONFIG = Config(source=SourceSettings(dsn=""), transport=TransportSettings(kind="kafka"))


def status(watch: LogWatch, behind: float | None = 5.0) -> WarehouseStatus:
    found = WarehouseStatus(name="w", kind="duckdb", behind_seconds=behind)
    watch.complete(found, drained=True)
    return found


def test_nobody_waits_for_brokers_that_are_away(brokers: Brokers) -> None:
    assert status(LogWatch(CONFIG)).records_behind is None
    brokers.answering.set()


def test_behind_is_zero_only_if_nothing_was_published_since_it_was_asked(brokers: Brokers) -> None:
    brokers.answering.set()
    published = 1
    watch = LogWatch(CONFIG, lambda: published, wait=True)
    assert status(watch).behind_seconds == 0.0
    brokers.records, published = 3, 2
    late = status(watch, behind=0.0)
    assert (late.records_behind, late.behind_seconds) == (3, None)


@pytest.mark.parametrize(
    ("proved", "applied", "behind"),
    [(3, None, 0), (3, 500, 0), (100, None, 100), (100, 40, 40), (None, 40, None), (None, None, None)],
)
def test_appliers_alone_are_as_far_behind_as_the_readers_last_word(
    brokers: Brokers, proved: float | None, applied: float | None, behind: float | None
) -> None:
    """In seconds ago. With nothing to be applied; a reader that is not ours says nothing."""
    brokers.answering.set()
    now = time.time()
    brokers.proved_at = None if proved is None else now - proved
    found = WarehouseStatus(name="w", kind="duckdb")
    found.applied_commit_time = None if applied is None else now - applied
    LogWatch(CONFIG, wait=True, reader=False).complete(found, drained=False)
    assert found.behind_seconds == (None if behind is None else pytest.approx(behind, abs=5))


def test_appliers_alone_claim_nothing_if_no_reader_said_anything(brokers: Brokers) -> None:
    """All that is on the topics is applied: what the source has besides, only a reader knows."""
    brokers.answering.set()
    watch = LogWatch(CONFIG, wait=True, reader=False)
    tables = [TableLag(name="t", behind_seconds=0.0), TableLag(name="copied", state="copying")]
    found = WarehouseStatus(name="w", kind="duckdb", behind_seconds=0.0, tables=tables)
    watch.complete(found, drained=False)
    assert (found.records_behind, found.behind_seconds) == (0, None)
    assert [each.behind_seconds for each in found.tables] == [None, None]


def test_appliers_alone_with_records_before_them_tell_the_age_of_what_they_applied(brokers: Brokers) -> None:
    brokers.answering.set()
    brokers.records = 3
    found = WarehouseStatus(name="w", kind="duckdb", behind_seconds=7.0)
    LogWatch(CONFIG, wait=True, reader=False).complete(found, drained=False)
    assert (found.records_behind, found.behind_seconds) == (3, 7.0)


def test_what_waits_after_a_long_silence_is_no_older_than_its_end(brokers: Brokers) -> None:
    brokers.answering.set()
    published = 0
    watch = LogWatch(CONFIG, lambda: published, wait=True)
    assert status(watch, behind=9000.0).behind_seconds == 0.0
    brokers.records, published = 3, 1
    found = status(watch, behind=9000.0)
    assert found.records_behind == 3
    assert found.behind_seconds == pytest.approx(0, abs=60)
