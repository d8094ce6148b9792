"""How a copy is shown, on a terminal and in log lines."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from cdc.commands import snapshot
from cdc.commands.progress import Bars, pace
from cdc.commands.progress import columns as bar_columns
from cdc.config import Config, SourceSettings
from cdc.status import SourceStatus, Status, TableStatus


def table(state: str, rows: int, of: int | None = None) -> TableStatus:
    return TableStatus(name="public.t", state=state, rows_copied=rows, rows_estimated=of)  # type: ignore[arg-type]


def test_a_bar_begins_where_the_copy_is_and_leaves_a_line() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    clock = iter(range(10_000))
    with Progress(
        *bar_columns(), console=console, auto_refresh=False, get_time=lambda: next(clock)
    ) as progress:
        bars = Bars(progress)
        shown = []
        for each in (table("new", 0), table("copying", 500, 1000), table("copying", 900, 1000)):
            bars.update([each])
            progress.refresh()
            shown.append(out.getvalue())
            out.truncate(0)
        bars.update([table("catching_up", 1000)])
    assert "500 of ~1,000 rows" in shown[1]
    assert " 0/s" in shown[1]
    assert "900 of ~1,000 rows" in shown[2]
    assert "-" not in "".join(shown)
    assert "copied public.t: 1,000 rows in" in out.getvalue()


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (table("copying", 500), None, {"rows": 500}),
        (table("copying", 500, 1500), 500, {"rows": 500, "of": 1500}),
        (
            table("copying", 500, 1500),
            0,
            {"rows": 500, "of": 1500, "rows_per_second": 50, "seconds_left": 20},
        ),
        (table("copying", 2000, 1500), 0, {"rows": 2000, "of": 1500, "rows_per_second": 200}),
    ],
)
def test_a_line_tells_how_fast_it_goes_and_how_long_it_takes(
    now: TableStatus, before: int | None, told: dict[str, Any]
) -> None:
    assert pace(now, before) == told


def test_whoever_asked_a_daemon_for_a_copy_waits_until_its_stream_has_caught_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states = ["new", "copying", "catching_up", "catching_up", "live"]
    source = SourceStatus(slot="s", publication="p", plugin="pgoutput")
    seen = [
        Status(
            version="",
            state="streaming",
            source=source,
            tables=[table(state, 5), TableStatus(name="o", state="new")],
        )
        for state in states
    ]
    left = iter(seen)
    monkeypatch.setattr(snapshot, "ask_status", lambda _: next(left))
    waiting = snapshot.Elsewhere(Config(source=SourceSettings(dsn="")), ["public.t"], seen[0])
    assert [waiting.wait(0) for _ in states] == [False, False, False, False, True]
    assert waiting.status().tables[0].state == "live"
