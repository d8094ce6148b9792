"""Order over partitions on a real broker, by both clients: truncates, copies, added partitions, appliers that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from cdc.applier import run_applier
from cdc.errors import Overtaken, TransportUnavailable
from cdc.events import Begin, Change, Chunk, Commit, Control, Event, Truncate
from cdc.format import FormatSettings
from cdc.lsn import END, Position
from cdc.testing.memory import MemoryWarehouse, Store
from cdc.testing.targets import KEYED
from connectors.kafka import Settings
from connectors.kafka.admin import Admin
from connectors.kafka.consuming import read_all
from tests.fixtures.kafka_broker import Address
from tests.fixtures.kafka_ends import Ends

PATIENCE = 60.0
Rows = list[tuple[Any, ...]]


@pytest.fixture(params=["librdkafka", "kafka-python"])
def make(request: pytest.FixtureRequest, kafka: Address, prefix: str) -> Callable[..., Ends]:
    def ends(form: FormatSettings | None = None, **given: Any) -> Ends:
        options = {"partitions": 3, "discover_interval": 1.0, "linger": 0.001, **given}
        return Ends(
            Settings(bootstrap_servers=kafka.plain, topic_prefix=prefix, client=request.param, **options),
            form,
        )

    return ends


def transaction(lsn: int, op: str, keys: range) -> list[Event]:
    begin = Begin(lsn, 1_700_000_000_000_000 + lsn, lsn)
    if op == "t":
        return [begin, Truncate(KEYED, begin, 1, lsn), Commit(begin, lsn + 1, 1)]
    rows = [(b"%d" % key, b"note", b"%d" % lsn) for key in keys]
    changes = [Change(KEYED, op, None, row, begin, n, lsn, 40) for n, row in enumerate(rows, 1)]
    return [begin, *changes, Commit(begin, lsn + 1, len(changes))]


def copy(lsn: int, keys: range, body: str, *, first: bool = True) -> Chunk:
    data = "".join(f"{key},note,{body}\n" for key in keys).encode()
    return Chunk(KEYED, data, len(keys), Position(lsn, END), Control("copy", b"1"), first=first)


def rows(keys: range, body: object) -> Rows:
    return sorted(((b"%d" % key, b"note", str(body).encode()) for key in keys), key=repr)


@contextmanager
def applier(ends: Ends, store: Store, errors: list[BaseException]) -> Iterator[None]:
    """One process's loop, which starts again after what may pass."""
    stop = threading.Event()

    def attempt() -> None:
        warehouse = MemoryWarehouse(store)
        subscriber = ends.subscriber(warehouse.state)
        try:
            run_applier(subscriber, warehouse, lambda *_: [], lambda *_: None, lambda: not stop.is_set())
        finally:
            subscriber.close()

    def run() -> None:
        while not stop.is_set():
            try:
                attempt()
            except Overtaken:
                continue
            except BaseException as error:  # noqa: BLE001  told by `expect`
                errors.append(error)
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE)


def expect(store: Store, expected: Rows, errors: list[BaseException]) -> None:
    until = time.monotonic() + PATIENCE
    found: Rows = []
    while time.monotonic() < until and not errors:
        found = MemoryWarehouse(store).rows("public.keyed") if store.tables else []
        if found == expected:
            return
        time.sleep(0.05)
    assert not errors, errors
    assert found == expected


def publish(publisher: Any, *transactions: list[Event]) -> None:
    for transaction in transactions:
        for event in transaction:
            publisher.publish(event)


@pytest.mark.parametrize(
    ("appliers", "given"), [(1, {"cleanup_policy": "compact"}), (2, {}), (1, {"transactional": True})]
)
def test_what_was_there_before_a_truncate_or_a_copy_is_gone_and_what_came_behind_is_not(
    make: Callable[..., Ends], appliers: int, given: dict[str, Any]
) -> None:
    ends, store, errors = make(**given), Store(), list[BaseException]()
    publisher = ends.publisher()
    publish(publisher, transaction(10, "c", range(300)), transaction(20, "t", range(0)))
    publish(publisher, transaction(30, "c", range(200, 500)))
    publisher.flush()
    with ExitStack() as running:
        for _ in range(appliers):
            running.enter_context(applier(ends, store, errors))
        expect(store, rows(range(200, 500), 30), errors)
        publisher.publish(copy(30, range(400, 700), "copied"))
        publisher.publish(copy(30, range(700, 800), "copied", first=False))
        publisher.flush()
        expect(store, rows(range(400, 800), "copied"), errors)
        publisher.publish(copy(30, range(0), ""))
        publisher.flush()
        expect(store, [], errors)
        publish(publisher, transaction(40, "c", range(5)))
        publisher.flush()
        expect(store, rows(range(5), 40), errors)
    publisher.close()


def test_keys_move_to_added_partitions_in_their_order(make: Callable[..., Ends]) -> None:
    ends, store, errors = make(), Store(), list[BaseException]()
    confirmed, restarts, last = 0, 0, 100
    with applier(ends, store, errors), Admin(ends.settings) as admin:
        publisher = ends.publisher()
        while confirmed < last:
            if confirmed == 60 and not restarts:
                admin.add_partitions(ends.topic("public.keyed"), 5)
            try:
                lsns = range(confirmed * 10 + 10, confirmed * 10 + 210, 10)
                publish(publisher, *[transaction(lsn, "c", range(40)) for lsn in lsns])
                publisher.flush()
                confirmed += 20
                last = confirmed + 60 if confirmed >= 60 and not restarts else last
            except TransportUnavailable:
                restarts += 1
                publisher.close()
                publisher = ends.publisher()
        expect(store, rows(range(40), last * 10), errors)
        publisher.close()
    counts = {record.partition for record in read_all(ends.settings, ends.topic("public.keyed"))}
    assert (restarts, counts) == (1, {0, 1, 2, 3, 4})


def test_an_empty_table_leaves_nothing_on_a_new_topic_that_is_to_be_as_debeziums(
    make: Callable[..., Ends],
) -> None:
    ends = make(FormatSettings(compat="debezium"), partitions=1)
    publisher = ends.publisher()
    publisher.publish(copy(10, range(0), ""))
    publish(publisher, transaction(20, "c", range(2)))
    publisher.flush()
    publisher.close()
    topic = ends.topic("public.keyed")
    assert [record.key for record in read_all(ends.settings, topic)] == [b'{"id":0}', b'{"id":1}']
    publisher, store, errors = ends.publisher(), Store(), list[BaseException]()
    with applier(ends, store, errors):
        expect(store, rows(range(2), 20), errors)
        publisher.publish(copy(20, range(0), ""))
        publisher.flush()
        expect(store, [], errors)
        publisher.publish(copy(20, range(1, 3), "again"))
        publisher.flush()
        expect(store, rows(range(1, 3), "again"), errors)
    publisher.close()


def test_appliers_come_and_go(make: Callable[..., Ends]) -> None:
    """The group's shares change with each, in the middle of the stream."""
    ends, store, errors = make(), Store(), list[BaseException]()
    publisher, last = ends.publisher(), 0

    def write() -> None:
        nonlocal last
        publish(publisher, *[transaction(lsn, "c", range(60)) for lsn in range(last + 10, last + 310, 10)])
        last += 300
        publisher.flush()

    write()
    with ExitStack() as first, ExitStack() as others:
        first.enter_context(applier(ends, store, errors))
        expect(store, rows(range(60), last), errors)
        for _ in range(2):
            others.enter_context(applier(ends, store, errors))
            write()
        first.close()
        write()
        expect(store, rows(range(60), last), errors)
        others.enter_context(applier(ends, store, errors))
        write()
        others.close()
        write()
    with applier(ends, store, errors):
        expect(store, rows(range(60), last), errors)
    publisher.close()
