"""Signals: the first asks, the second does not wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from cdc.commands.stop import stop_on_signals

STUBBORN = """
import time
from cdc.commands.stop import stop_on_signals
with stop_on_signals() as stop:
    print("ready", flush=True)
    stop.wait()
    print("asked", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_ends_at_once(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for expected in ("ready", "asked"):
            assert process.stdout.readline().strip() == expected
            process.send_signal(number)
        assert process.wait(10) == 128 + number


WAITING = """
import os, signal
from cdc.commands.stop import stop_on_signals
with stop_on_signals() as stop:
    with stop._cond:  # as stop.wait() does at its beginning and at its end
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(10)
"""


def test_a_signal_that_comes_while_the_main_thread_begins_to_wait_is_heard() -> None:
    subprocess.run([sys.executable, "-c", WAITING], check=True, timeout=30)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)
    assert signal.getsignal(signal.SIGTERM) == before
