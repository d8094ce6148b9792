"""`cdc sql`: a look at a replica that only one process can open, by the daemon if there is one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain, count
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from cdc.ask import ask_sql, ask_status, error_of
from cdc.commands import screen
from cdc.commands.options import ConfigFile, Json, settings
from cdc.config import Config
from cdc.errors import EXIT_TRY_AGAIN, CdcError, ConfigError
from cdc.query import Footer, Header, QueryRequest, Questions

ON_SCREEN = 1000  # rows of a table, which is laid out only when all of them are there
Row = list[msgspec.Raw]


def sql(
    statement: Annotated[
        str, typer.Argument(metavar="SQL", help="A SELECT; - reads it from standard input.")
    ],
    config_file: ConfigFile = None,
    warehouse: Annotated[str, typer.Option(metavar="NAME", help="Which one, if there are several.")] = "",
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="ROWS", help=f"Rows at most.  [default: {ON_SCREEN} in a table]"),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV for a program instead.")] = False,
    json: Json = False,
) -> None:
    """Look at a replica while the daemon writes it.

    A DuckDB file can be opened by one process only, so the running daemon answers: one statement that only looks (SELECT,
    DESCRIBE, SHOW, SUMMARIZE, EXPLAIN), as of one commit, within the limits of [sql]. Without a daemon the file is read directly.

    Examples:

      cdc sql 'show all tables'

      cdc sql 'select status, count(*) from public.orders group by all'

      cdc sql --csv 'from public.orders' > orders.csv
    """
    config = settings(config_file, quiet=True)
    if csv and json:
        raise ConfigError("--csv and --json are two forms of one answer", hint="choose one")
    text = sys.stdin.read() if statement == "-" else statement
    rows = limit or (0 if csv or json else ON_SCREEN)
    with _lines(config, QueryRequest(text, warehouse, rows)) as lines:
        footer = _shown(iter(lines), _print_csv if csv else _print_json if json else _print_table)
    if footer.error is not None:
        raise error_of(footer.error)
    if footer.truncated:
        limited = (
            "--limit"
            if footer.truncated == "rows" and footer.rows == rows
            else f"[sql] max_{footer.truncated}"
        )
        screen.err.print(f"only the first {footer.rows:,} rows: {limited} allows no more", style="yellow")


@contextmanager
def _lines(config: Config, request: QueryRequest) -> Iterator[Iterable[bytes]]:
    if ask_status(config) is not None:
        with ask_sql(config, request) as lines:
            yield lines
        return
    with closing(Questions(config).answer(request, lambda: False)) as answer:
        yield chain.from_iterable(piece.splitlines() for piece in answer)


def _shown(lines: Iterator[bytes], show: Callable[[Header, Iterator[Row]], None]) -> Footer:
    """Print the rows, and give what was said at the end."""
    footer: Footer | None = None

    def rows() -> Iterator[Row]:
        nonlocal footer
        for line in lines:
            if line[:1] == b"[":
                yield msgspec.json.decode(line, type=Row)
            else:
                footer = msgspec.json.decode(line, type=Footer)

    try:
        header = msgspec.json.decode(next(lines, b""), type=Header)
        show(header, rows())
    except msgspec.MsgspecError:  # half a line
        footer = None
    if footer is None:
        error = CdcError("the answer ends in the middle", why="the daemon has ended", hint="try again")
        error.exit_code = EXIT_TRY_AGAIN
        raise error
    return footer


def _print_table(header: Header, rows: Iterator[Row]) -> None:
    names = [_printable(column.name) for column in header.columns]
    table = screen.table()
    for name, column in zip(names, header.columns, strict=True):
        table.add_column(Text(name), justify="right" if column.form == "number" else "left", overflow="fold")
    for row in rows:
        cells = map(_text, row)
        table.add_row(*(Text("NULL", "dim") if each is None else Text(_printable(each)) for each in cells))
    screen.show(table)


def _print_csv(header: Header, rows: Iterator[Row]) -> None:
    """NULL is an empty field, and an empty text is quoted."""
    write = sys.stdout.write
    write(",".join(_quoted(column.name) for column in header.columns) + "\n")
    for row in rows:
        write(",".join(map(_quoted, map(_text, row))) + "\n")
    sys.stdout.flush()


def _print_json(header: Header, rows: Iterator[Row]) -> None:
    """One array of objects, an object a line; of two columns with one name the second gets a number."""
    names = [msgspec.json.encode(name).decode() for name in _distinct([each.name for each in header.columns])]
    write, separator = sys.stdout.write, "["
    for row in rows:
        cells = ", ".join(f"{name}: {bytes(raw).decode()}" for name, raw in zip(names, row, strict=True))
        write(f"{separator}{{{cells}}}")
        separator = ",\n"
    write("]\n" if separator != "[" else "[]\n")
    sys.stdout.flush()


def _text(raw: msgspec.Raw) -> str | None:
    text = bytes(raw)
    if text[:1] == b'"':
        return msgspec.json.decode(text, type=str)
    return None if text == b"null" else text.decode()


def _quoted(text: str | None) -> str:
    if text is None:
        return ""
    plain = text and not any(letter in text for letter in ',"\r\n')
    return text if plain else '"' + text.replace('"', '""') + '"'


def _printable(text: str) -> str:
    """What a value holds must not steer the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


def _distinct(names: list[str]) -> list[str]:
    made: list[str] = []
    for name in names:
        made.append(next(each for n in count() if (each := f"{name}_{n}" if n else name) not in made))
    return made
