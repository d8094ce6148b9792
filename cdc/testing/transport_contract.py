"""The promises of `cdc.interfaces.Publisher` and `Subscriber`, as tests that any transport can be put to.

    class TestMine(TransportContract):
        @pytest.fixture
        def transport(self, tmp_path: Path) -> Transport:
            return MyTransport(tmp_path)

A `Transport` opens both ends. The tests stand in for the reader, which publishes from the last confirmed transaction on, again if
it has to, and for the applier with its warehouse (`Sink`). Needs pytest.
"""

from __future__ import annotations

import threading
import time

import pytest

from cdc.errors import Stopped
from cdc.events import Control
from cdc.testing.transports import (
    PATIENCE,
    Sink,
    Transport,
    by_key,
    changes_of,
    history,
    publish,
    transaction,
)


class TransportContract:
    """Subclass it and give the fixture `transport`."""

    def test_what_is_published_arrives_once_and_in_order(self, transport: Transport) -> None:
        sink, events = Sink(), history(1, 300)
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            publish(publisher, events)
            publisher.flush()
            sink.expect(changes_of(events))
        for batch in sink.batches:
            assert batch.checkpoint is not None
            assert len(batch.checkpoint.marks) == 1
            assert batch.rows == len(changes_of(batch.events))
        publisher.close()
        subscriber.close()

    def test_what_was_flushed_is_durable(self, transport: Transport) -> None:
        sink, events = Sink(), history(1, 20)
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            publish(publisher, events)
            publisher.flush()
        publisher.close()
        subscriber.close()
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            sink.expect(changes_of(events))
        publisher.close()
        subscriber.close()

    def test_what_a_reader_publishes_again_is_not_given_again(self, transport: Transport) -> None:
        sink = Sink()
        everything = [*history(1, 30), *history(31, 30), *history(61, 30)]
        for start, end in ((1, 61), (31, 61), (1, 91)):
            publisher, subscriber = transport.open(sink)
            with sink.attached(subscriber):
                publish(publisher, history(start, end - start))
                publisher.flush()
                sink.expect(changes_of(history(1, end - 1)))
            publisher.close()
            subscriber.close()
        assert by_key(sink.changes) == by_key(changes_of(everything))

    def test_what_was_not_committed_comes_again(self, transport: Transport) -> None:
        sink, lost, events = Sink(), Sink(), history(1, 50)
        publisher, subscriber = transport.open(sink)
        subscriber.seek({})
        publish(publisher, events)
        flushing = threading.Thread(target=lambda: _ignoring(publisher.flush), daemon=True)
        flushing.start()
        until = time.monotonic() + PATIENCE
        while not lost.changes and time.monotonic() < until:
            if batch := subscriber.receive(0.5):
                lost.take(subscriber, batch, commit=False)
        assert lost.changes
        subscriber.close()
        publisher.close()
        flushing.join(PATIENCE)
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            publish(publisher, events)  # they were not confirmed
            publisher.flush()
            sink.expect(changes_of(events))
        publisher.close()
        subscriber.close()

    def test_a_transaction_larger_than_a_batch_arrives_whole(self, transport: Transport) -> None:
        sink, events = Sink(), transaction(10, range(5000), keyless=100)
        publisher, subscriber = transport.open(sink)
        with sink.attached(subscriber):
            publish(publisher, events)
            publisher.flush()
            sink.expect(changes_of(events))
        publisher.close()
        subscriber.close()

    def test_progress_is_the_last_control_of_each_key(self, transport: Transport) -> None:
        sink = Sink()
        publisher, subscriber = transport.open(sink)
        assert publisher.progress() == {}
        with sink.attached(subscriber):
            for key, value in (("a", b"1"), ("b", b"\x00\xff"), ("a", b"2")):
                publisher.publish(Control(key, value))
                publisher.flush()
            publisher.publish(Control("a", b"3"))
            publisher.publish(Control("c", b"lost"))
            publisher.publish(Control("c", b""))
            publisher.flush()
        publisher.close()
        subscriber.close()
        publisher, subscriber = transport.open(sink)
        assert publisher.progress() == {"a": b"3", "b": b"\x00\xff", "c": b""}
        publisher.close()
        subscriber.close()

    def test_nothing_comes_where_nothing_is(self, transport: Transport) -> None:
        publisher, subscriber = transport.open(Sink())
        subscriber.seek({})
        begun = time.monotonic()
        assert subscriber.receive(0.2) is None
        assert time.monotonic() - begun < PATIENCE / 4
        publisher.flush()
        publisher.close()
        subscriber.close()

    def test_closing_twice(self, transport: Transport) -> None:
        publisher, subscriber = transport.open(Sink())
        for _ in range(2):
            publisher.close()
            subscriber.close()
        assert subscriber.receive(1.0) is None
        with pytest.raises(Stopped):
            publisher.flush()


def _ignoring(flush: object) -> None:
    """A flush that a close interrupts."""
    try:
        flush()  # type: ignore[operator]
    except Stopped:
        return
