"""Keeps the shop busy in a thread of its own, at a given rate, until told to stop."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import psycopg

from cdc.demo.shop import Shop

TICK = 0.05  # seconds between two bursts
BURST = 4  # transactions in one


class Workload:
    """A busy shop. The seldom events are spread over `seconds`, so that each happens at least once."""

    def __init__(self, dsn: str, rate: float, seconds: float) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, application_name="shop")
        self.shop = Shop(self._connection)
        self._rate = rate
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shop", daemon=True)
        self._error: BaseException | None = None
        self._began = self._ended = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of business so far, or in all."""
        return (self._ended or time.monotonic()) - self._began if self._began else 0.0

    @property
    def since_end(self) -> float:
        """Seconds since the last change; 0 while there are more."""
        return time.monotonic() - self._ended if self._ended else 0.0

    @property
    def running(self) -> bool:
        """Whether the shop is open."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Open for business."""
        self._thread.start()

    def stop(self) -> None:
        """End with the transaction that is open. Raises what went wrong."""
        self._stop.set()
        if self._thread.ident:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.ident:
            self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        self._began = time.monotonic()
        try:
            self._trade()
        except BaseException as error:  # noqa: BLE001 — raised again by stop()
            self._error = error
        self._ended = time.monotonic()

    def _trade(self) -> None:
        shop, seldom = self.shop, self.shop.seldom()
        due = [self._seconds * (number + 1) / (len(seldom) + 1) for number in range(len(seldom))]
        while not self._stop.is_set() and self.elapsed < self._seconds:
            if due and self.elapsed >= due[0]:
                due.pop(0)
                seldom.pop(0)()
            missing = self._rate * self.elapsed - shop.rows
            if missing < 1:
                self._stop.wait(TICK)
            else:
                shop.trade(max(1, int(min(missing, 2 * self._rate * TICK) / BURST)))
        for event in seldom:
            event()
