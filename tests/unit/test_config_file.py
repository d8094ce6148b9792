"""What config.toml and the environment may say, and what a person is told of each mistake."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cdc import registry
from cdc.config import Config, Settings, WarehouseSettings
from cdc.config_file import load
from cdc.config_show import effective, to_toml
from cdc.errors import EXIT_USAGE, ConfigError


class TableSettings(Settings, kw_only=True, frozen=True):
    mode: str = "upsert"


class FakeSettings(WarehouseSettings, kw_only=True, frozen=True):
    """Settings of a connector that exists in this file only."""

    path: str
    api_token: str = ""
    tables: dict[str, TableSettings] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path == "nowhere":
            raise ValueError("path is nowhere")


class FakeConnector:
    Settings = FakeSettings
    REQUIRES: Sequence[str] = ()


@pytest.fixture(autouse=True)
def connectors(monkeypatch: pytest.MonkeyPatch) -> None:
    group = registry.GROUP
    points = [
        EntryPoint("fake", "fake", group),
        EntryPoint("driverless", "driverless", group),
        EntryPoint("broken", "no_such_module_at_all", group),
    ]
    monkeypatch.setattr(EntryPoint, "load", _load)
    monkeypatch.setattr(registry, "_points", lambda: tuple(points))


class Driverless(FakeConnector):
    REQUIRES = ("no_such_driver",)


def _load(point: EntryPoint) -> Any:
    """What importing would give."""
    found = {"fake": FakeConnector, "driverless": Driverless}.get(point.name)
    if found is None:
        raise ModuleNotFoundError(f"No module named {point.value!r}")
    return found


WAREHOUSE = """
[warehouses.local]
kind = "fake"
path = "here"
"""
SMALL = '[source]\ndsn = "postgresql://cdc@db/shop"' + WAREHOUSE


def read(tmp_path: Path, text: str, **environ: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load(file, environ)


def mistakes(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, **environ)
    assert caught.value.exit_code == EXIT_USAGE
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_defaults_fill_what_the_file_leaves_out(tmp_path: Path) -> None:
    config = read(tmp_path, SMALL)
    assert config.source.slot == "cdc"
    assert config.warehouses["local"] == FakeSettings(kind="fake", path="here")
    assert config.http.listen == "127.0.0.1:8085"


def test_the_environment_overrides_with_the_type_of_the_key(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        SMALL,
        CDC_SOURCE__DSN="host=other",
        CDC_SOURCE__TABLES="public.a, shop.*",
        CDC_SOURCE__CREATE="false",
        CDC_SOURCE__FLUSH_INTERVAL="0.5",
        CDC_WAREHOUSES__LOCAL__PATH="12",
        CDC_WAREHOUSES__LOCAL__BATCH_ROWS="7",
        CDC_WAREHOUSES__SECOND__KIND="fake",
        CDC_WAREHOUSES__SECOND__PATH="there",
        CDC_CONFIG="unrelated",
    )
    assert config.source.dsn == "host=other"
    assert config.source.tables == ["public.a", "shop.*"]
    assert config.source.create is False
    assert config.source.flush_interval == 0.5
    assert config.warehouses["local"] == FakeSettings(kind="fake", path="12", batch_rows=7)
    assert config.warehouses["second"] == FakeSettings(kind="fake", path="there")


def test_a_warehouse_keeps_its_capitals_when_overridden(tmp_path: Path) -> None:
    config = read(tmp_path, SMALL.replace("local", "Local"), CDC_WAREHOUSES__LOCAL__PATH="x")
    assert config.warehouses == {"Local": FakeSettings(kind="fake", path="x")}


def test_strings_take_variables_and_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    text = SMALL.replace("cdc@db", "${WHO}@${WHERE}").replace('"here"', f'"file:{secret}"')
    config = read(tmp_path, text + 'batch_rows = "${ROWS}"', WHO="me", WHERE="h:1", ROWS="9")
    assert config.source.dsn == "postgresql://me@h:1/shop"
    assert config.warehouses["local"] == FakeSettings(kind="fake", path="hunter2", batch_rows=9)


def test_the_environment_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"CDC_SOURCE__DSN": "", "CDC_WAREHOUSES__W__KIND": "fake", "CDC_WAREHOUSES__W__PATH": "p"}
    assert load(None, environ).warehouses == {"w": FakeSettings(kind="fake", path="p")}


def test_a_missing_file_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"config\.toml: there is no configuration file .*cdc init"):
        load(None, {})
    with pytest.raises(ConfigError, match="other"):
        load(tmp_path / "other", {"CDC_SOURCE__DSN": "x"})


GIVEN = '[format]\ncompat = "debezium"\n[format.schemas."public.a"]\ncolumns = { x = "intger" }\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[source\n", "the file is not TOML"),
        ("[source]\n[warehouses.w]\nkind='fake'\npath=''", "config.toml: [source] dsn: it is missing"),
        (SMALL.replace("dsn", "dns"), "[source] dns: there is no such key (did you mean dsn?)"),
        (SMALL + "batch_row = 1", "batch_row: there is no such key (did you mean batch_rows?)"),
        ("[sources]\n" + SMALL, "[sources]: there is no such key (did you mean source?)"),
        (SMALL + "batch_rows = '1'", "[warehouses.local] batch_rows: expected a whole number, got text"),
        (SMALL + "batch_rows = 0", "[warehouses.local] batch_rows: expected a whole number >= 1"),
        (SMALL + "[log]\nlevel = 'loud'", "[log] level: expected one of debug, info, warning, error"),
        ("source = 1\n" + WAREHOUSE, "[source]: expected a table"),
        ("[source]\ntables = ['a', 1]\n" + WAREHOUSE, "tables: expected text, got a whole number at [1]"),
        (SMALL.replace("fake", "fke"), "no warehouse of kind 'fke': known: broken, driverless, fake"),
        (SMALL.replace('kind = "fake"', ""), "[warehouses.local] kind: it is missing"),
        (SMALL.replace("fake", "driverless"), "no_such_driver: it is not installed (pip install 'cdc["),
        (SMALL.replace("fake", "broken"), "'broken' cannot be imported: No module named"),
        (SMALL.split("[warehouses")[0], "[warehouses]: there is none"),
        ("warehouses = 3\n" + SMALL.split("[warehouses")[0], "[warehouses]: expected tables"),
        (SMALL.replace('"here"', '"nowhere"'), "[warehouses.local]: path is nowhere"),
        (SMALL.replace('"here"', '"${NO_SUCH}"'), "path: the environment has no variable NO_SUCH"),
        (SMALL.replace('"here"', '"file:/no/such"'), "path: the file cannot be read"),
        (SMALL + GIVEN, "[format.schemas.public.a]: columns: x: there is no type 'intger' (did you mean integer?"),
        (SMALL + GIVEN.replace("columns", "colums"), "[format.schemas.public.a] colums: there is no such key (did you"),
        (SMALL + '[warehouses.local.tables."public.a"]\nmod = "x"', "[warehouses.local.tables.public.a] mod"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    assert told in mistakes(tmp_path, text)


def test_mistakes_of_the_environment_name_the_variable(tmp_path: Path) -> None:
    assert mistakes(tmp_path, SMALL, CDC_SOURCE__SLOTT="x").startswith(
        "CDC_SOURCE__SLOTT: there is no such key"
    )
    assert "CDC_SOURCE__CREATE: expected true or false" in mistakes(
        tmp_path, SMALL, CDC_SOURCE__CREATE="maybe"
    )
    assert "CDC_SOURCE__DSN__X: [source] dsn is not" in mistakes(tmp_path, SMALL, CDC_SOURCE__DSN__X="maybe")


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    text = mistakes(tmp_path, SMALL.replace("dsn", "dns") + "batch_rows = 'x'\n[htp]\n")
    assert "has 4 mistakes" in text
    assert all(place in text for place in ("[source] dns", "[source] dsn", "batch_rows", "[htp]"))


def test_a_wrong_value_is_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in mistakes(tmp_path, SMALL, CDC_SOURCE__STATUS_INTERVAL="hunter2")


def test_effective_settings_are_toml_that_reads_back_without_secrets(tmp_path: Path) -> None:
    text = (
        SMALL.replace("cdc@db", "cdc:hunter2@db") + 'api_token = "hunter3"\n[warehouses.local.tables."a.b"]\n'
    )
    shown = to_toml(effective(read(tmp_path, text)))
    assert "hunter" not in shown
    assert 'dsn = "postgresql://cdc:•••@db/shop"' in shown
    assert tomllib.loads(shown) == effective(read(tmp_path, text))


def test_toml_of_odd_strings_reads_back() -> None:
    values = {"a b": {'"': 'quote " back \\ tab \t del \x7f nul \x00 é 🦆', "n": [1, 2.5, True, "x"]}}
    assert tomllib.loads(to_toml(values)) == values
