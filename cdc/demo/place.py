"""Where a demo lives: one folder with PostgreSQL's cluster, the DuckDB file and a config.toml over both.

The folder is temporary and goes away with the server, even if we are killed (the server's guard sees to
it), unless it is to be kept.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cdc.config import Config
from cdc.config_file import load
from cdc.config_show import to_toml
from cdc.embedded import EmbeddedPostgres
from cdc.errors import ConfigError

DATABASE = "shop"
COMMENT = "# A kept `cdc demo`. Its PostgreSQL is started by `cdc demo --source FOLDER`, on another port each time.\n"


@dataclass(frozen=True)
class Place:
    """A demo's folder while its PostgreSQL runs."""

    server: EmbeddedPostgres
    folder: Path
    kept: bool

    @property
    def config_file(self) -> Path:
        return self.folder / "config.toml"

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def dsn(self) -> str:
        return self.server.dsn(DATABASE)

    def configure(self) -> Config:
        """Write config.toml and read it, as every other command would."""
        values = {
            "source": {"dsn": self.dsn},
            "warehouses": {"local": {"kind": "duckdb", "path": str(self.warehouse)}},
        }
        self.config_file.touch(0o600)  # it holds a password
        self.config_file.write_text(COMMENT + to_toml(values))
        return load(self.config_file, {})


@contextmanager
def new_place(*, keep: bool) -> Iterator[Place]:
    """A running PostgreSQL with an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="cdc-demo-")) if keep else None
    if folder is not None:
        folder.chmod(0o711)  # PostgreSQL has to get in, when root runs it as another account
    with EmbeddedPostgres(folder) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(f"create database {DATABASE}".encode())
        yield Place(server, server.folder, keep)


@contextmanager
def kept_place(folder: Path) -> Iterator[Place]:
    """The PostgreSQL of a demo that was kept, started again."""
    if not (folder / "data" / "PG_VERSION").exists():
        raise ConfigError("there is no kept demo", where=str(folder), hint="`cdc demo --keep` makes one")
    with EmbeddedPostgres(folder, version=_version(folder)) as server:
        place = Place(server, server.folder, kept=True)
        place.configure()
        yield place


def _version(folder: Path) -> int:
    return int((folder / "data" / "PG_VERSION").read_text())


def shown(path: Path) -> str:
    """A path as short as it can be typed from here."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)
