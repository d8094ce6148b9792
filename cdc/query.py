"""Questions in SQL to a warehouse that only its own process can open: `cdc sql`.

The connector answers (`registry.load(kind).query`) by rows of texts, so that values are as its database prints them. Here they
become lines of JSON under limits of rows and bytes, one batch at a time, whoever reads them and however slowly:

    {"columns": [{"name": "id", "type": "BIGINT"}, …]}
    [1, "text", null]
    {"rows": 1, "truncated": ""}        or {"error": {…}} if it ended in the middle
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol

import msgspec

from cdc import registry
from cdc.ask import ErrorBody, error_body_of
from cdc.config import Config
from cdc.errors import EXIT_TRY_AGAIN, CdcError, ConfigError
from cdc.interfaces import Warehouse

Text = str | None
Gone = Callable[[], bool]


class QueryColumn(msgspec.Struct, frozen=True):
    """A column of an answer. `form` says how its texts are written as JSON; numbers that JSON lacks become texts."""

    name: str
    type: str
    form: Literal["text", "number", "boolean"] = "text"


class QueryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /sql. `warehouse` may be left out where there is one; `rows`: at most so many, 0: as [sql] has it."""

    sql: str
    warehouse: str = ""
    rows: int = 0


class Rows(Protocol):
    """What a connector answers. It is closed in any case, and by another thread when its warehouse is."""

    @property
    def columns(self) -> Sequence[QueryColumn]: ...

    def fetch(self, rows: int) -> Sequence[Sequence[Text]]:
        """The next rows, at most so many; none at the end. Raises CdcError, also for time or memory that ran out."""

    def close(self) -> None:
        """End the statement and let go of the snapshot. May be called twice."""


class Header(msgspec.Struct):
    """The first line of an answer."""

    columns: list[QueryColumn]


class Footer(msgspec.Struct):
    """The last one. `truncated` says which limit left rows out; empty: none did."""

    rows: int = 0
    truncated: str = ""
    error: ErrorBody | None = None


class Questions:
    """Answers a few questions at a time. `find` gives the daemon's own open warehouse; None: there is no daemon here."""

    def __init__(self, config: Config, find: Callable[[str], Warehouse] | None = None) -> None:
        self._config = config
        self._find = find
        self._free = threading.BoundedSemaphore(config.sql.concurrent)

    def answer(self, request: QueryRequest, gone: Gone) -> Lines:
        """The lines; what is wrong with the question is raised at once. `gone` says that nobody waits for them any more."""
        name = self._name(request.warehouse)
        settings, limits = self._config.warehouses[name], self._config.sql
        ask = getattr(registry.load(settings.kind), "query", None)
        if ask is None:
            raise _elsewhere(name, settings.kind)
        if not limits.enabled:
            raise ConfigError("SQL is not answered here", why="[sql] enabled is false")
        if not self._free.acquire(blocking=False):
            error = CdcError(
                "others are asking", why=f"[sql] concurrent is {limits.concurrent}", hint="try again"
            )
            error.exit_code = EXIT_TRY_AGAIN
            raise error
        try:
            found = self._find(name) if self._find is not None else None
            rows: Rows = ask(settings, request.sql, warehouse=found, seconds=limits.max_seconds, gone=gone)
        except BaseException:
            self._free.release()
            raise
        wanted = min(request.rows or limits.max_rows, limits.max_rows)
        return Lines(lines(rows, wanted, limits.max_bytes), rows, self._free.release)

    def _name(self, given: str) -> str:
        names = list(self._config.warehouses)
        if given in names:
            return given
        known = f"configured are: {', '.join(names)}" if names else "add a [warehouses.NAME] table"
        if given:
            raise ConfigError(f"there is no warehouse {given!r}", hint=known)
        if len(names) != 1:
            raise ConfigError("which warehouse is asked?", hint=f"--warehouse NAME; {known}")
        return names[0]


class Lines:
    """The lines of an answer, which lets go of everything when it is closed, begun or not."""

    def __init__(self, lines: Iterator[bytes], rows: Rows, release: Callable[[], None]) -> None:
        self._lines = lines
        self._rows = rows
        self._release: Callable[[], None] | None = release

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._lines)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """May be called twice."""
        release, self._release = self._release, None
        if release is not None:
            try:
                self._rows.close()
            finally:
                release()


FIRST, BATCH_BYTES, MOST = 16, 256 << 10, 4096  # rows of the first batch; then as many as make such a batch


def lines(rows: Rows, wanted: int, most_bytes: int) -> Iterator[bytes]:
    """The whole answer, in pieces of many lines each."""
    encode = msgspec.json.encode
    yield encode(Header(list(rows.columns))) + b"\n"
    forms = [column.form for column in rows.columns]
    count = size = 0
    batch, truncated = FIRST, ""
    try:
        while not truncated and (found := rows.fetch(min(batch, wanted + 1 - count))):
            told = [encode(_cells(row, forms)) for row in found]
            kept = told[: wanted - count]
            truncated = "" if len(kept) == len(told) else "rows"
            count += len(kept)
            piece = b"".join(line + b"\n" for line in kept)
            size += len(piece)
            batch = max(1, min(MOST, BATCH_BYTES * len(told) // (len(piece) + 1)))
            if piece:
                yield piece
            if size > most_bytes and not truncated:
                truncated = "bytes" if rows.fetch(1) else ""
                break
    except CdcError as error:
        yield encode(Footer(count, error=error_body_of(error))) + b"\n"
    else:
        yield encode(Footer(count, truncated)) + b"\n"


NUMBER = frozenset("-0123456789")


def _cells(row: Sequence[Text], forms: Sequence[str]) -> list[Any]:
    return [
        text if text is None or form == "text" or not _is_plain(text, form) else msgspec.Raw(text.encode())
        for text, form in zip(row, forms, strict=True)
    ]


def _is_plain(text: str, form: str) -> bool:
    """Whether JSON can say it so: neither inf nor nan."""
    return form == "boolean" or (text[:1] in NUMBER and text[-1:].isdigit())


def _elsewhere(name: str, kind: str) -> ConfigError:
    client = getattr(registry.load(kind), "CLIENT", "a client of its own")
    return ConfigError(
        f"warehouse {name!r} is of kind {kind!r}, which others can read while cdc writes",
        hint=f"ask it directly: {client}",
    )
