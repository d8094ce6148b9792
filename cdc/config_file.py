"""Reads config.toml, and what the environment says of it, into one checked `Config`.

`CDC_SOURCE__DSN` overrides `dsn` of `[source]`, and so on for every key; see `config_value.py` for what a
string may hold. All mistakes are told together, each with its place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from cdc import registry
from cdc.config import MEMORY, Config, Settings, TransportSettings, WarehouseSettings
from cdc.config_value import Text, convert, expand, without_limits
from cdc.errors import ConfigError
from cdc.format import FormatSettings
from cdc.wire.names import Topics

DEFAULT = Path("config.toml")
PREFIX = "CDC_"
S = TypeVar("S", bound=Settings)
Place = tuple[str, ...]


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong, where, and what would be right."""

    where: str
    what: str
    hint: str = ""


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration in a file (default: `config.toml`); the environment alone will do if it names the
    source.

    Raises ConfigError with everything that is wrong.
    """
    file = path or DEFAULT
    given = read_toml(file, optional=path is None and f"{PREFIX}SOURCE__DSN" in environ)
    reading = Reading(str(file), environ)
    reading.override(given)
    config = reading.config(given)
    if config is None:
        raise told(reading.mistakes, str(file))
    return config


def read_toml(file: Path, *, optional: bool = False) -> dict[str, Any]:
    """The file as it is; empty if it is not there and need not be."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        if optional:
            return {}
        hint = "`cdc init` writes one; -c FILE or CDC_CONFIG names another"
        raise ConfigError("there is no configuration file", where=str(file), hint=hint) from error
    except OSError as error:
        raise ConfigError("the file cannot be read", where=str(file), why=error.strerror or "") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("the file is not TOML", where=str(file), why=str(error)) from error


def told(mistakes: list[Mistake], file: str) -> ConfigError:
    """One error for all mistakes."""
    if len(mistakes) == 1:
        only = mistakes[0]
        return ConfigError(only.what, where=only.where, hint=only.hint)
    lines = [f"{each.where}: {each.what}" + (f" ({each.hint})" if each.hint else "") for each in mistakes]
    return ConfigError(f"the configuration has {len(lines)} mistakes", where=file, why="\n".join(lines))


class Reading:
    """One reading of a file: notes each mistake and goes on."""

    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self._file = file
        self._environ = environ
        self._variables: dict[Place, str] = {}
        self.mistakes: list[Mistake] = []

    def override(self, given: dict[str, Any]) -> None:
        """Put the environment's `CDC_SECTION__KEY` into what the file gives."""
        for variable in sorted(self._environ):
            if not variable.startswith(PREFIX) or "__" not in variable:
                continue
            table: Any = given
            place: Place = ()
            *names, last = variable.removeprefix(PREFIX).split("__")
            for name in names:
                place += (_existing(table, name),)
                table = table.setdefault(place[-1], {})
                if not isinstance(table, dict):
                    self.mistakes.append(Mistake(variable, f"{place_text(place)} is not a table"))
                    break
            else:
                place += (_existing(table, last),)
                table[place[-1]] = Text(self._environ[variable])
                self._variables[place] = variable

    def config(self, given: dict[str, Any]) -> Config | None:
        """The settings, or None if there were mistakes."""
        warehouses = given.pop("warehouses", {})
        transport = self._transport(given.pop("transport", {}))
        config = self.table({"source": {}, **given}, Config, ())
        read: dict[str, WarehouseSettings | None] = {}
        if not isinstance(warehouses, dict):
            self._wrong(("warehouses",), "expected tables such as [warehouses.local]")
        elif not warehouses:
            self._wrong(("warehouses",), "there is none", 'add [warehouses.local] with kind = "duckdb"')
        else:
            read = {name: self._warehouse(each, ("warehouses", name)) for name, each in warehouses.items()}
        if config is None or transport is None or self.mistakes:
            return None
        for name, each in read.items():
            if each is not None and each.dead_letter_topic:
                self._letters(name, each.dead_letter_topic, transport, config.format)
        if self.mistakes:
            return None
        return msgspec.structs.replace(config, transport=transport, warehouses=read)

    def _letters(self, name: str, topic: str, transport: TransportSettings, form: FormatSettings) -> None:
        """Dead letters go to a topic only where there are any, and to none that is for something else."""
        place = ("warehouses", name, "dead_letter_topic")
        if transport.kind == MEMORY:
            hint = 'leave it out: the table _cdc_dead_letters tells of them; or [transport] kind = "kafka"'
            self._wrong(place, f'there are no topics with [transport] kind = "{MEMORY}"', hint)
            return
        prefix = registry.transport(transport.kind).prefix(transport)
        if not Topics(form, prefix).may_have_letters(topic):
            hint = f'"{prefix}.cdc-dead-letters", "{prefix}.{name}.cdc-dead-letters", or a name without the prefix'
            self._wrong(place, f"{topic!r} is a name for a table's topic, or for one of cdc's own", hint)

    def table(self, given: Any, kind: type[S], place: Place) -> S | None:
        """One table as its settings."""
        if not isinstance(given, dict):
            self._wrong((*place, ""), "expected a table")
            return None
        before = len(self.mistakes)
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for unknown in (key for key in given if key not in fields):
            near = get_close_matches(unknown, fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(fields))}"
            self._wrong((*place, unknown), "there is no such key", hint)
        values = {}
        for key, field in fields.items():
            if key in given:
                values[field.name] = self._value(given[key], field.type, (*place, key))
            elif field.required:
                variable = PREFIX + "__".join((*place, key)).upper()
                self._wrong((*place, key), "it is missing", f"set it there, or {variable} in the environment")
        if len(self.mistakes) > before:
            return None
        try:
            return kind(**values)
        except ValueError as error:  # a connector's own check, in __post_init__
            self._wrong((*place, ""), str(error))
            return None

    def _transport(self, given: Any) -> TransportSettings | None:
        """By its kind; memory needs no table."""
        place = ("transport",)
        kind = given.get("kind", MEMORY) if isinstance(given, dict) else MEMORY
        try:
            kind = convert(expand(kind, self._environ), str)
            settings = TransportSettings if kind == MEMORY else registry.transport(kind).Settings
        except ConfigError as error:
            self._wrong(
                (*place, "kind"), f"{error.what}: {error.why}" if error.why else error.what, error.hint
            )
            return None
        return self.table(given, settings, place)

    def _warehouse(self, given: Any, place: Place) -> WarehouseSettings | None:
        if not isinstance(given, dict):
            self._wrong((*place, ""), "expected a table")
            return None
        if "kind" not in given:
            self._wrong((*place, "kind"), "it is missing", f"known: {', '.join(registry.kinds())}")
            return None
        kind = self._value(given["kind"], str, (*place, "kind"))
        if kind is None:
            return None
        try:
            settings = registry.load(kind).Settings
        except ConfigError as error:
            self._wrong((*place, "kind"), f"{error.what}: {error.why}", error.hint)
            return None
        return self.table(given, settings, place)

    def _value(self, given: Any, kind: Any, place: Place) -> Any:
        """A value as its type; None after a mistake."""
        bare = without_limits(kind)
        if isinstance(bare, type) and issubclass(bare, Settings):
            return self.table(given, bare, place)
        if get_origin(bare) is dict and isinstance(given, dict):
            return {key: self._value(each, get_args(bare)[1], (*place, key)) for key, each in given.items()}
        try:
            return convert(expand(given, self._environ), kind)
        except ConfigError as error:
            self._wrong(place, error.what, error.hint)
            return None

    def _wrong(self, place: Place, what: str, hint: str = "") -> None:
        where = self._variables.get(place) or f"{self._file}: {place_text(place)}"
        self.mistakes.append(Mistake(where, what, hint))


def place_text(place: Place) -> str:
    """('source', 'dsn') → `[source] dsn`; a table's place ends with an empty name."""
    table = f"[{'.'.join(place[:-1] if len(place) > 1 else place)}]"
    return f"{table} {place[-1]}".strip() if len(place) > 1 else table


def _existing(table: Mapping[str, Any], name: str) -> str:
    """The key of the table that a variable means, whatever its case."""
    return next((key for key in table if key.upper() == name.upper()), name.lower())
