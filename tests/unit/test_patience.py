"""How long changes wait for company where several warehouses share the embedded transport: at the pace of the least patient."""

from __future__ import annotations

import pytest

from cdc.config import Config, SourceSettings, TransportSettings, WarehouseSettings
from cdc.ends import EmbeddedEnds
from cdc.log_ends import LogEnds
from cdc.memory import MemoryPublisher
from connectors.kafka import Settings
from tests.fixtures.transport import received, transaction

QUICK = WarehouseSettings(kind="duckdb", max_delay=5.0)
PATIENT = WarehouseSettings(kind="snowflake", max_delay=60.0, when_idle="wait")
MORE_PATIENT = WarehouseSettings(kind="snowflake", max_delay=900.0, when_idle="wait")


def config(*warehouses: WarehouseSettings, transport: TransportSettings | None = None) -> Config:
    named = {str(number): each for number, each in enumerate(warehouses)}
    return Config(source=SourceSettings(dsn=""), warehouses=named, transport=transport or TransportSettings())


@pytest.mark.parametrize(
    ("warehouses", "seconds"),
    [((QUICK,), 0.0), ((PATIENT,), 60.0), ((MORE_PATIENT, PATIENT), 60.0), ((PATIENT, QUICK), 0.0)],
)
def test_the_least_patient_warehouse_sets_the_pace(
    warehouses: tuple[WarehouseSettings, ...], seconds: float
) -> None:
    assert EmbeddedEnds(config(*warehouses)).patience == seconds


def test_over_a_log_the_reader_has_none() -> None:
    kafka = Settings(bootstrap_servers="a:1", topic_prefix="shop")
    assert LogEnds(config(PATIENT, transport=kafka)).patience == 0.0


@pytest.mark.parametrize(("warehouses", "batches"), [((QUICK, PATIENT), 1), ((PATIENT, MORE_PATIENT), 0)])
def test_under_load_too(warehouses: tuple[WarehouseSettings, ...], batches: int) -> None:
    """By age alone; with patience that is the reader's matter."""
    now = 0.0
    publisher = MemoryPublisher("p", TransportSettings(), warehouses, clock=lambda: now)
    subscriber = publisher.subscriber()
    for lsn in (10, 20):
        for event in transaction(lsn, rows=1):
            publisher.publish(event)
        now += 100.0
    assert len(received(subscriber)) == batches
