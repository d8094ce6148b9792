"""How far a warehouse is behind the log: asked beside whoever asks for a status, and zero only when that is proved."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from cdc.config import Config, SourceSettings, TransportSettings
from cdc.log_watch import LogWatch
from cdc.status import PartitionLag, TableLag, WarehouseStatus


class Brokers:
    """Answer once they are let."""

    def __init__(self) -> None:
        self.records = 0
        self.answering = threading.Event()
        self.asked = threading.Semaphore(0)

    def prefix(self, _: object) -> str:
        return "shop"

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


def test_appliers_alone_never_claim_to_be_in_sync(brokers: Brokers) -> None:
    """All that is on the topics is applied: what the source has besides, only a reader knows."""
    brokers.answering.set()
    watch = LogWatch(CONFIG, wait=True)
    tables = [TableLag(name="t", behind_seconds=0.0), TableLag(name="copied", state="copying")]
    found = WarehouseStatus(name="w", kind="duckdb", behind_seconds=0.0, tables=tables)
    watch.complete(found, drained=False, reader=False)
    assert (found.records_behind, found.behind_seconds) == (0, None)
    assert [each.behind_seconds for each in found.tables] == [None, None]


def test_appliers_alone_with_records_before_them_tell_the_age_of_what_they_applied(brokers: Brokers) -> None:
    brokers.answering.set()
    brokers.records = 3
    found = WarehouseStatus(name="w", kind="duckdb", behind_seconds=7.0)
    LogWatch(CONFIG, wait=True).complete(found, drained=False, reader=False)
    assert (found.records_behind, found.behind_seconds) == (3, 7.0)
