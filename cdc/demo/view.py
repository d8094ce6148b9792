"""What the demo shows while it runs, and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cdc.commands import screen, verify
from cdc.demo.place import shown
from cdc.demo.workload import Workload
from cdc.status import Status, TableStatus

if TYPE_CHECKING:
    from cdc.demo.play import Outcome

SHAPES = {
    "public.customers": "arrays, jsonb; a column is added",
    "public.products": "large values (TOAST); keys change",
    "public.orders": "enum, numeric, timestamptz",
    "public.order_lines": "key of two columns; cascades",
    "public.page_views": "no key; a truncate",
}


def live(status: Status, workload: Workload, seconds: float) -> RenderableType:
    """The whole view, as of now."""
    gone = min(workload.elapsed, seconds)
    time = Table.grid(padding=(0, 1))
    time.add_row(ProgressBar(total=seconds, completed=gone, width=40), f"{gone:.0f} of {seconds:.0f} s")
    return Panel(
        Group(tables(status.tables), "", facts(status, workload), "", time),
        title=f"cdc demo · PostgreSQL → DuckDB · {status.state}",
        title_align="left",
        expand=False,
        padding=(1, 2),
    )


def tables(all_of_them: list[TableStatus]) -> Table:
    """A row per table: its state, and what was done in the replica."""
    numbers = ("copied", "inserts", "updates", "deletes")
    made = screen.table("table", "state", *numbers, *[""] * _is_wide(), right=numbers)
    for each in all_of_them:
        made.add_row(
            each.name.removeprefix("public."),
            screen.state(each.state),
            _copied(each),
            *(screen.count(getattr(each, name)) for name in numbers[1:]),
            *[Text(SHAPES.get(each.name, ""), "dim")] * _is_wide(),
        )
    return made


def _is_wide() -> bool:
    return screen.out.width >= 110 or not screen.out.is_terminal


def _copied(table: TableStatus) -> str:
    if table.state == "copying" and table.rows_estimated:
        return f"{100 * table.rows_copied / table.rows_estimated:.0f} %"
    return screen.count(table.rows_copied)


def facts(status: Status, workload: Workload) -> Table:
    """What the shop does and how the replica follows, a line each."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_row("the shop", source_line(workload))
    made.add_row("", Text(", ".join(workload.shop.happened) or " ", "dim"))
    made.add_row("the replica", replica_line(status))
    made.add_row("lag", lag_line(status))
    return made


def source_line(workload: Workload) -> str:
    """What the shop does."""
    shop = workload.shop
    rate = shop.rows / workload.elapsed if workload.elapsed else 0.0
    done = f"{screen.count(shop.rows)} rows changed in {screen.count(shop.transactions)} transactions"
    return f"{done}, {screen.count(rate)} rows/s"


def replica_line(status: Status) -> str:
    """What the replica did."""
    (replica,) = status.warehouses
    return (
        f"{screen.count(replica.rows_applied)} rows applied, {screen.count(replica.rows_per_second)} rows/s"
    )


def lag_line(status: Status) -> Text:
    """How the replica follows."""
    (replica,) = status.warehouses
    return Text.assemble(
        (f"{screen.seconds(replica.behind_seconds)} behind", "green"),
        f" now, p50 {screen.seconds(replica.lag_p50)}, p99 {screen.seconds(replica.lag_p99)}",
    )


def plain(status: Status, workload: Workload) -> str:
    """The view as one line, for where there is no terminal."""
    busy = [f"{each.name} is {each.state}" for each in status.tables if each.state != "live"]
    lag = lag_line(status).plain
    return " · ".join([f"shop: {source_line(workload)}", f"replica: {replica_line(status)}, {lag}", *busy])


def summary(outcome: Outcome) -> None:
    """The end: what was proved, how fast it was, and where to go from here."""
    place, status = outcome.place, outcome.status
    screen.out.print()
    screen.show(verify.table(outcome.report))
    verify.show_differences(outcome.report)
    screen.out.print()
    screen.show(facts(status, outcome.workload))
    screen.show(Text.assemble(("result       ", "bold"), verify.result(outcome.report)))
    if place.kept:
        file = shown(place.config_file)
        screen.out.print(
            f"files        {place.folder}: {place.config_file.name}, {place.warehouse.name}, data/"
        )
        screen.out.print(
            f"next         cdc demo --source {shown(place.folder)}   starts this PostgreSQL again; then,"
        )
        screen.out.print(f"             cdc run -c {file}   in another terminal")
    else:
        screen.out.print("files        removed; `cdc demo --keep` keeps them to try the other commands on")
        screen.out.print("next         cdc init --dsn postgresql://user@host/a_database_of_yours")
