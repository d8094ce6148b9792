"""Opens the file, and finds out beforehand why it could not be opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import duckdb

from cdc.errors import CdcError
from connectors.duckdb import failures
from connectors.duckdb.settings import Settings

T = TypeVar("T")
WHAT = "the DuckDB file cannot be opened"


def open_file(settings: Settings, then: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """Open the file and hand the connection on; it is closed again if that fails."""
    try:
        connection = duckdb.connect(settings.path, config=_config(settings))
    except duckdb.Error as error:
        raise failures.classify(error, what=WHAT, path=settings.path) from error
    try:
        return then(connection)
    except duckdb.Error as error:
        connection.close()
        raise failures.classify(error, what=WHAT, path=settings.path) from error
    except CdcError:
        connection.close()
        raise


def _config(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "checkpoint_threshold": settings.checkpoint_threshold,
        "TimeZone": "UTC",  # as the source's session, so that times are text for text the same
        "autoinstall_known_extensions": False,  # nothing is fetched from the network behind one's back
    }
