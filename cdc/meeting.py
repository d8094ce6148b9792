"""A meeting of source and target at one LSN that is not known beforehand.

The LSN comes from the source, with a snapshot of it; by then a stream that went on would have passed it, and a warehouse does not
go back. So the stream first stands still between two transactions. While it does, the LSN is agreed upon, which lies ahead of
all that was streamed. Then the stream goes on to it, and there the warehouses' views are taken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from cdc.errors import CdcError
from cdc.interfaces import View
from cdc.lsn import Lsn, format_lsn
from cdc.reader import Job, Reader

POLL = 0.1  # seconds between two looks at whether the stream still goes on

Meet = Callable[[Callable[[], Lsn], float], Mapping[str, View]]
"""Has the stream stand still, asks for an LSN, and gives each warehouse with exactly the transactions that commit below it;
CdcError if this takes longer than some seconds, or whatever the asked raises."""


class Meeting:
    """A `cdc.reader.Job` in two steps: to stand still until an LSN is agreed upon, and to take the views there."""

    def __init__(self, take: Callable[[], Mapping[str, View]]) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._agreed = threading.Event()
        self._over = False
        self._lsn: Lsn | None = None
        self.standing = threading.Event()
        self.done = threading.Event()
        self.views: Mapping[str, View] = {}
        self.error: CdcError | None = None

    def due(self, reader: Reader) -> bool:
        return self._over or self._lsn is None or reader.received >= self._lsn

    def step(self, reader: Reader) -> bool:
        if self._over:
            return True
        if self._lsn is None:
            self.standing.set()
            self._agreed.wait()  # not for long: see `agree`
            # Whatever comes next lies before the LSN, unless nothing is waiting: then it may have been reached.
            return self._over
        reader.flush()
        with self._lock:
            if not self._over:
                self._over = True
                try:
                    self.views = self._take()
                except CdcError as error:  # the comparison's misfortune, not the line's
                    self.error = error
        self.done.set()
        return True

    def agree(self, ask: Callable[[], Lsn]) -> Lsn:
        """Ask for the LSN and let the stream go on. The stream stands still for as long as `ask` takes."""
        try:
            self._lsn = ask()
            return self._lsn
        except BaseException:
            self._over = True
            raise
        finally:
            self._agreed.set()

    def give_up(self) -> bool:
        """Nobody waits any more; False if the views have been taken meanwhile."""
        with self._lock:
            taken, self._over = self._over, True
        self._agreed.set()
        return not taken


def meet(
    submit: Callable[[Job], None],
    take: Callable[[], Mapping[str, View]],
    streaming: Callable[[], bool],
    ask: Callable[[], Lsn],
    timeout: float,
) -> Mapping[str, View]:
    """Hold a meeting: `submit` gives a job to the reader, `take` makes the views, `streaming` says that the line still runs."""
    meeting = Meeting(take)
    deadline = time.monotonic() + timeout
    submit(meeting)
    try:
        _wait(meeting.standing, streaming, deadline, "the stream did not come to a commit")
        lsn = meeting.agree(ask)
        _wait(meeting.done, streaming, deadline, f"the stream has not reached {format_lsn(lsn)}")
    except BaseException:
        if not meeting.give_up():
            for view in meeting.views.values():
                view.close()
        raise
    if meeting.error is not None:
        raise meeting.error
    return meeting.views


def _wait(event: threading.Event, streaming: Callable[[], bool], deadline: float, what: str) -> None:
    while not event.wait(POLL):
        if not streaming():
            raise CdcError("the stream has ended", hint="see `cdc status`")
        if time.monotonic() > deadline:
            raise CdcError(
                f"{what} in time",
                why="it is behind, or in a large transaction",
                hint="see `cdc lag`, and try again when it has caught up",
            )
