"""What commands print: results on standard output, everything else on standard error.

Long lines are left to the terminal to wrap: what is meant to be copied, such as a statement, stays in one
piece.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cdc.errors import CdcError

out = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
_wide = Console(width=200, highlight=False, emoji=False, markup=False)
err = Console(stderr=True, highlight=False, emoji=False, markup=False, soft_wrap=True)

STATE_STYLES = {
    "live": "green",
    "streaming": "green",
    "copying": "cyan",
    "catching_up": "cyan",
    "starting": "cyan",
    "parked": "bold red",
    "failed": "bold red",
    "retrying": "yellow",
}


def show(renderable: RenderableType) -> None:
    """A table or panel on standard output; where there is no terminal, as wide as it likes."""
    if out.is_terminal:
        out.print(renderable, soft_wrap=False)
    else:
        _wide.print(renderable)


def show_error(error: CdcError) -> None:
    """What, where, why and what next, a line each."""
    show_labelled(
        "error", "bold red", error.what, [("where", error.where), ("why", error.why), ("next", error.hint)]
    )


def show_labelled(label: str, style: str, text: str, more: Iterable[tuple[str, str]]) -> None:
    """A headline and lines below it, all with labels in one column; on standard error."""
    err.print(Text.assemble((f"{label:5}", style), "  ", (text, "bold")))
    for name, value in more:
        for number, line in enumerate(value.splitlines()):
            err.print(Text.assemble((f"{'' if number else name:5}", "dim"), "  ", line))


def show_json(value: Any) -> None:
    """Indented on a terminal, one line otherwise."""
    text = msgspec.json.encode(value)
    if sys.stdout.isatty():
        text = msgspec.json.format(text, indent=2)
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table in our one style; `right` names the columns of numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        made.add_column(
            name, justify="right" if name in right else "left", overflow="fold", no_wrap=name in right
        )
    return made


def state(name: str) -> Text:
    """A state's word in its colour."""
    return Text(name, STATE_STYLES.get(name, "yellow"))


def count(number: float | None) -> str:
    """1234567 → '1,234,567'."""
    return "" if number is None else f"{number:,.0f}"


def size(number: int | None) -> str:
    """Bytes, rounded for people."""
    if number is None:
        return "unknown"
    if number < 1024:
        return f"{number} bytes"
    value, units = float(number), iter(("KB", "MB", "GB", "TB", "PB"))
    unit = "bytes"
    while value >= 1000 and unit != "PB":
        value, unit = value / 1024, next(units)
    return f"{value:.1f} {unit}"


def seconds(value: float | None) -> str:
    """A duration with as many digits as matter."""
    if value is None:
        return "unknown"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
