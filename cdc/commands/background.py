"""Runs the daemon in a thread of its own, so that the main thread is free for signals and the screen."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from cdc.daemon import Daemon
    from cdc.status import Status


class Background:
    """A running daemon. Leaving the context stops it, waits for its clean end and raises what ended it."""

    def __init__(self, daemon: Daemon, stop: threading.Event) -> None:
        self.daemon = daemon
        self._stop = stop
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="daemon", daemon=True)

    def status(self) -> Status:
        """What the daemon says of itself."""
        return self.daemon.status()

    def wait(self, timeout: float) -> bool:
        """Whether it has ended, waiting for that for at most `timeout` seconds."""
        return self._ended.wait(timeout)

    def check(self) -> None:
        """Raise what ended it, if something did."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._ended.wait()
        self.check()  # the reason of an error in the context, if it was one

    def _run(self) -> None:
        try:
            self.daemon.run(self._stop)
        except BaseException as error:  # noqa: BLE001 — raised again in the main thread
            self._error = error
        finally:
            self._ended.set()
