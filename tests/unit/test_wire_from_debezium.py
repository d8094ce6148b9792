"""A Debezium connector's properties as our configuration."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cdc.cli import app
from cdc.debezium_text import globs_of, parse_properties
from cdc.errors import ConfigError
from cdc.format import FormatSettings
from cdc.from_debezium import translate

CONNECTOR = r"""
# a comment
name = shop
connector.class=io.debezium.connector.postgresql.PostgresConnector
database.hostname=db
database.user: cdc
database.password=hunter2
database.dbname shop
topic.prefix=shop
plugin.name=pgoutput
table.include.list=public\\..*,app\\.(orders|lines)
message.key.columns=public.a:x,y;public.b:z
column.mask.hash.v2.SHA-256.with.salt.s4lt=public.person.\
  email
heartbeat.interval.ms=5000
signal.data.collection=public.signals
transforms=route
transforms.route.type=org.apache.kafka.connect.transforms.RegexRouter
"""
WORKER = "bootstrap.servers=broker:9092\nvalue.converter.schemas.enable=false\nkey.converter.schemas.enable=false\n"


def test_what_has_a_counterpart_is_set() -> None:
    translation = translate(parse_properties(CONNECTOR), parse_properties(WORKER))
    config = translation.config
    assert config["source"]["dsn"] == "host=db port=5432 dbname=shop user=cdc"
    assert config["source"]["tables"] == ["public.*", "app.orders", "app.lines"]
    assert config["transport"] == {
        "kind": "kafka",
        "topic_prefix": "shop",
        "bootstrap_servers": "broker:9092",
    }
    settings = msgspec.convert(config["format"], FormatSettings)
    assert (settings.compat, settings.schemas_enable, settings.heartbeat_interval_ms) == (
        "debezium",
        False,
        5000,
    )
    assert settings.message_key_columns == ["public.a:x,y", "public.b:z"]
    assert settings.column_mask_hash_v2 == {"SHA-256.with.salt.s4lt": ["public.person.email"]}


def test_what_has_none_is_named() -> None:
    unmatched = translate(parse_properties(CONNECTOR)).unmatched
    assert {"database.password", "signal.data.collection", "transforms.route.type"} <= unmatched.keys()
    assert "hunter2" not in json.dumps(unmatched)


def test_json_is_read_alone_and_as_it_is_posted() -> None:
    given = {"plugin.name": "pgoutput", "tombstones.on.delete": "false"}
    for text in (json.dumps(given), json.dumps({"name": "x", "config": given})):
        assert translate(parse_properties(text)).config["format"]["tombstones_on_delete"] is False
    with pytest.raises(ConfigError):
        parse_properties("{")


def test_regular_expressions_become_globs_where_they_can() -> None:
    assert globs_of(r"public\..*") == ["public.*"]
    assert globs_of(r"a\.(b|c)") == ["a.b", "a.c"]
    assert globs_of("a.b") == ["a.b"]  # what people mean
    assert globs_of(r"a\.b+") is None
    assert globs_of("[ab]") is None


def test_the_command_prints_toml(tmp_path: Path) -> None:
    file = tmp_path / "connector.properties"
    file.write_text(CONNECTOR)
    result = CliRunner().invoke(app, ["config", "--from-debezium", str(file)])
    assert result.exit_code == 0
    assert "# signal.data.collection: " in result.output
    assert tomllib.loads(result.output)["format"]["compat"] == "debezium"
