"""The demo, as `make demo` runs it: equal at the end, and nothing left behind however it ends."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.fixtures.cli import Cli

pytestmark = pytest.mark.slow


@pytest.fixture
def cli() -> Iterator[Cli]:
    """With temporary files in a folder of its own, which PostgreSQL may enter when root runs it as another account."""
    folder = Path(tempfile.mkdtemp(prefix="cdc-test-demo-"))
    folder.chmod(0o711)
    yield Cli(folder, {"TMPDIR": str(folder), "COLUMNS": "100"})
    shutil.rmtree(folder, ignore_errors=True)


def processes(folder: Path) -> list[str]:
    """Command lines that name the folder, but for those that are ending."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def clean(folder: Path, seconds: float = 20) -> bool:
    """No file and no process is left; what ends on its own may take some seconds."""
    end = time.monotonic() + seconds
    while (any(folder.iterdir()) or processes(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    return not any(folder.iterdir()) and not processes(folder)


def test_it_ends_equal_and_leaves_nothing(cli: Cli) -> None:
    ended = cli("demo", "--seconds", "4", "--rate", "500")
    lines = ended.out.splitlines()
    tables = [line.split() for line in lines if line.startswith("public.")]
    assert {name for name, *_ in tables} == {
        f"public.{name}" for name in ("customers", "products", "orders", "order_lines", "page_views")
    }
    assert all(source == target and result == "equal" for _, source, target, result in tables)
    for event in ("rolled back", "large values rewritten", "keys changed", "column added", "truncate"):
        assert event in ended.out
    assert "p99" in ended.out
    assert ended.err == ""
    assert clean(cli.folder, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_leaves_nothing_when_it_is_ended(cli: Cli, number: signal.Signals) -> None:
    with cli.started("demo", "--seconds", "60") as demo:
        assert demo.stdout is not None
        while not demo.stdout.readline().startswith("shop:"):
            assert demo.poll() is None
        assert processes(cli.folder)
        ended = cli.stop(demo, number)
        assert ended.code == (-number if number == signal.SIGKILL else 130)
    assert clean(cli.folder)


def test_what_is_kept_works_with_the_other_commands(cli: Cli) -> None:
    cli("demo", "--seconds", "1", "--rate", "100", "--keep")
    (kept,) = cli.folder.iterdir()
    assert not processes(cli.folder)
    with cli.started("demo", "--source", str(kept)) as source:
        assert source.stdout is not None
        assert "is running" in source.stdout.readline()
        environ = {"CDC_CONFIG": str(kept / "config.toml"), "CDC_HTTP__LISTEN": ""}
        assert "live" in cli("status", **environ).out
        assert "equal" in cli("verify", **environ).out
        assert cli.stop(source).code == 0
    assert not processes(cli.folder)


def test_a_folder_without_a_demo(cli: Cli) -> None:
    assert "cdc demo --keep" in cli("demo", "--source", "nowhere", code=2).err
