"""config.toml, the example: complete, true, and what `cdc init` writes."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cdc import registry
from cdc.config import Config, WarehouseSettings
from cdc.config_file import load

EXAMPLE = Path(__file__).parents[2] / "config.toml"
UNCOMMENTED = re.sub(r"^# (\w+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)


def test_it_loads_as_it_is() -> None:
    config = load(EXAMPLE, {})
    assert config.source.slot == "cdc"
    assert config.warehouses["local"].kind == "duckdb"


def test_what_is_commented_out_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(UNCOMMENTED)
    assert load(file, {}) == load(EXAMPLE, {})


@pytest.mark.parametrize("section", [field.name for field in msgspec.structs.fields(Config)])
def test_it_shows_every_key(section: str) -> None:
    shown: dict[str, Any] = tomllib.loads(UNCOMMENTED)[section]
    kinds = {field.name: field.type for field in msgspec.structs.fields(Config)}
    if section == "warehouses":
        shown, kinds[section] = shown["local"], registry.load("duckdb").Settings
    assert set(shown) == {field.encode_name for field in msgspec.structs.fields(kinds[section])}


@pytest.mark.parametrize("kind", ["postgres", "snowflake", "sqlalchemy"])
def test_it_shows_every_key_of_other_warehouses_with_its_default(kind: str) -> None:
    blocks = re.findall(r"(?:^#   .*\n)+", EXAMPLE.read_text(), re.MULTILINE)
    [block] = [block for block in blocks if f'kind = "{kind}"' in block]
    [shown] = tomllib.loads(re.sub("^#   ", "", block, flags=re.MULTILINE))["warehouses"].values()
    known = registry.load(kind).Settings
    needed = {
        field.encode_name: shown[field.encode_name]
        for field in msgspec.structs.fields(known)
        if field.required
    }
    common = {field.encode_name for field in msgspec.structs.fields(WarehouseSettings)} - {"kind"}
    assert set(shown) == {field.encode_name for field in msgspec.structs.fields(known)} - common
    assert msgspec.convert(shown, known) == msgspec.convert({"kind": kind, **needed}, known)


def test_init_writes_it() -> None:
    packaged = resources.files("cdc.commands").joinpath("example.toml").read_text("utf-8")
    assert packaged == EXAMPLE.read_text("utf-8")
    assert re.search(r'^dsn = "[^"]*"$', packaged, re.MULTILINE)
    assert re.search(r'^path = "[^"]*"', packaged, re.MULTILINE)
