"""Order over partitions, whatever happens: the target is the source in the end.

A source commits changes, truncates and is copied; a reader publishes, dies at any record and begins again at what it had
confirmed; partitions are added; two appliers share one warehouse, die, are shared out anew and go on as zombies. Kafka is
`tests/fixtures/kafka_model.py`, the warehouse a dict; publisher, fences, wire, subscribers and the applier's work are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.testing.memory import MemoryWarehouse
from tests.fixtures.kafka_model import Cluster, ModelAdmin, ModelConsumer, ModelProducer, read_all
from tests.fixtures.kafka_world import TOPIC, Applier, World

KEYS = st.integers(0, 5)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[Cluster]:
    """A place for the cluster of each example."""
    place: list[Cluster] = []
    patch = monkeypatch.setattr
    patch("connectors.kafka.publisher.open_producer", lambda _: ModelProducer(place[-1]))
    patch("connectors.kafka.subscriber.open_consumer", lambda *_: ModelConsumer(place[-1]))
    patch("connectors.kafka.publisher.Admin", lambda _: ModelAdmin(place[-1]))
    for module in ("connectors.kafka.publisher", "tests.fixtures.kafka_ends"):
        patch(f"{module}.read_all", lambda _, topic: read_all(place[-1], topic))
    patch("connectors.kafka.subscriber.time.sleep", lambda _: None)
    return place


STEPS = st.one_of(
    st.tuples(st.just("commit"), st.lists(st.tuples(st.sampled_from("ccdt"), KEYS), min_size=1, max_size=4)),
    st.tuples(st.sampled_from(["publish", "flush", "copy", "copy beside", "add"]), st.none()),
    st.tuples(st.just("crash in"), st.integers(0, 12)),
    st.tuples(st.sampled_from(["receive", "receive", "apply", "apply", "die"]), st.integers(0, 1)),
    st.tuples(st.just("share out"), st.none()),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Hundreds of lines tell what happens in each example."""
    with structlog.testing.capture_logs():
        yield


def run(world: World, step: tuple[str, object]) -> None:
    name, of = step
    applier = world.appliers[of] if isinstance(of, int) and of < 2 else world.appliers[0]
    partitions = world.cluster.topics.get(TOPIC, [])
    actions = {
        "publish": world.publish,
        "flush": world.flush,
        "copy": world.copy,
        "copy beside": lambda: world.copy(beside=True),
        "add": lambda: partitions.append([]) if 0 < len(partitions) < 4 else None,
        "receive": applier.receive,
        "apply": applier.apply,
        "die": applier.die,
        "share out": partial(setattr, world.cluster, "generation", world.cluster.generation + 1),
        "crash in": lambda: setattr(world.cluster, "lives", of),
        "commit": lambda: world.commit(*of),  # type: ignore[misc]
    }
    actions[name]()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=st.lists(STEPS, max_size=60))
def test_the_target_is_the_source_in_the_end(cluster: list[Cluster], steps: list[tuple[str, object]]) -> None:
    cluster.append(Cluster())
    world = World(cluster[-1])
    world.appliers = [Applier(world), Applier(world)]
    for step in steps:
        run(world, step)
    settle(world)
    assert target(world) == expected(world)


@pytest.mark.parametrize("lives", range(32))
def test_whenever_a_reader_dies_that_copies_beside_the_table_no_row_is_missed_in_between(
    cluster: list[Cluster], lives: int
) -> None:
    """Also what the source no longer has goes away, and no shadow is left."""
    cluster.append(Cluster())
    world = World(cluster[-1])
    world.appliers = [Applier(world), Applier(world)]
    world.commit(*(("c", key) for key in range(6)))
    world.publish()
    world.copy()
    settle(world)
    for key in (2, 5):
        del world.rows[key]  # without a change that would tell of it
    world.commit(("c", 1))
    world.commit(("c", 4))
    world.cluster.lives = lives
    world.copy(beside=True)
    world.cluster.lives = 10**9
    settle(world, lambda: {row[0] for row in target(world)} >= {b"0", b"1", b"3", b"4"})
    assert target(world) == expected(world)
    assert set(world.store.tables) == {"public.keyed"}


def settle(world: World, holds: Callable[[], bool] = lambda: True) -> None:
    """All is published and applied; something `holds` after every step of an applier."""
    while (
        world.published < len(world.history)
        or world.confirmed < world.published
        or world.copied < world.copies
    ):
        world.publish()
        world.flush()
    world.cluster.generation += 1  # the added partitions are found
    for _ in range(60):
        for applier in world.appliers:
            applier.receive()
            applier.apply()
            assert holds()


def target(world: World) -> list[tuple[Any, ...]]:
    return MemoryWarehouse(world.store).rows("public.keyed") if world.store.tables else []


def expected(world: World) -> list[tuple[Any, ...]]:
    return sorted((b"%d" % key, b"note", b"%d" % version) for key, version in world.rows.items())
