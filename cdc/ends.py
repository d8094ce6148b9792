"""The two ends of the transport: what the reader publishes to and what each applier subscribes to, made from the settings.

The embedded transport is here. Any other is a log that lasts, between a reader and appliers that may be other processes
(`cdc.log_ends`); what differs for the line between the two is in this one place:

              who knows how far the copies are       a copy begins once the stream has passed
    embedded  the warehouses                         what the warehouses have applied
    a log     the log's own control records          all that an earlier reader may have published
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from cdc.config import MEMORY, Config
from cdc.errors import ConfigError
from cdc.interfaces import Checkpoint, Mark, Publisher, Subscriber, Warehouse
from cdc.lsn import Lsn
from cdc.memory import MemoryPublisher
from cdc.origin import Origin
from cdc.source.capture import Capture

if TYPE_CHECKING:
    from cdc.letter_box import LetterBox  # with the wire, which the embedded line needs nothing of

Controls = Mapping[str, bytes]


class Ends(Protocol):
    """For one attempt."""

    always_ahead: bool
    """May a target show more than the events that come to it? An applier then believes no row that it finds under an old key."""

    patience: float
    """Seconds that the reader has changes wait for company though nothing more comes, since a flush costs the warehouses."""

    def admit(self, name: str, state: Checkpoint) -> None:
        """Raise ConfigError for a warehouse that was filled through another transport."""

    def publisher(self, origin: Origin) -> Publisher:
        """The reader's end. Called once, before any subscriber is made."""

    def known(self) -> Mapping[str, Controls]:
        """The control records of earlier runs, from each place that keeps them: by warehouse, where that is one."""

    def applied(self) -> Lsn:
        """Where the last transaction commits that a warehouse is known to have; 0 if that is not known here."""

    def copies_begin_after(self, capture: Capture) -> Lsn:
        """An LSN that the stream must have passed before a copy may begin."""

    def subscriber(self, name: str, warehouse: Warehouse) -> Subscriber:
        """The end of one applier."""

    def letters(self, name: str) -> LetterBox | None:
        """Where a warehouse has told what it leaves out, if not in a table of its own. Raises TransportError."""

    def failed(self, error: BaseException) -> None:
        """An applier ended with this error: the publisher takes nothing more, whoever waits for it is let go."""

    def await_applied(self, subscribers: Mapping[str, Subscriber], timeout: float) -> None:
        """After a flush: return when all that was published is in the warehouses. Raises CdcError."""

    def close(self) -> None:
        """Let everybody go who waits. May be called twice."""


class EmbeddedEnds:
    """Reader and appliers in one process."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._states: dict[str, Checkpoint] = {}
        self._partition = ""
        self._publisher: MemoryPublisher | None = None
        self.always_ahead = False
        self.patience = min((each.patience for each in config.warehouses.values()), default=0.0)

    def admit(self, name: str, state: Checkpoint) -> None:
        if any(mark.offset >= 0 for mark in state.marks.values()):
            raise ConfigError(
                "the warehouse was filled through Kafka",
                where=f"[warehouses.{name}]",
                why=f'[transport] kind is "{MEMORY}", which knows nothing of how far that went',
                hint="go on with Kafka, or `cdc drop` to begin anew: the tables are then copied again",
            )
        self._states[name] = state

    def publisher(self, origin: Origin) -> Publisher:
        self._partition = origin.partition
        limits = tuple(self._config.warehouses.values())
        self._publisher = MemoryPublisher(origin.partition, self._config.transport, limits)
        return self._publisher

    def known(self) -> Mapping[str, Controls]:
        return {name: state.controls for name, state in self._states.items()}

    def applied(self) -> Lsn:
        marks = [state.marks.get(self._partition, Mark()) for state in self._states.values()]
        return max(mark.position.commit_lsn for mark in marks)

    def copies_begin_after(self, capture: Capture) -> Lsn:  # noqa: ARG002
        return self.applied()

    def subscriber(self, name: str, warehouse: Warehouse) -> Subscriber:  # noqa: ARG002
        assert self._publisher is not None
        subscriber = self._publisher.subscriber()
        subscriber.restore(self._states[name].controls)
        return subscriber

    def letters(self, name: str) -> LetterBox | None:  # noqa: ARG002
        return None

    def failed(self, error: BaseException) -> None:
        assert self._publisher is not None
        self._publisher.fail(error)

    def await_applied(self, subscribers: Mapping[str, Subscriber], timeout: float) -> None:
        """A flush has seen to it."""

    def close(self) -> None:
        if self._publisher is not None:
            self._publisher.close()
