"""`[transport]` with kind = "kafka": read from a file, documented whole, and told to each client in its words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cdc.config_file import load
from cdc.errors import ConfigError
from connectors.kafka import Settings, clients
from connectors.kafka.oauth import expiry, token_source

EXAMPLE = Path(__file__).parents[2] / "config.toml"
REST = '[source]\ndsn = ""\n[warehouses.w]\nkind = "duckdb"\npath = "w"\n[transport]\n'
LEAST = {"bootstrap_servers": "a:1,b:2", "topic_prefix": "shop"}


def settings(**given: Any) -> Settings:
    return Settings(**{**LEAST, **given})


def read(tmp_path: Path, transport: str) -> Any:
    file = tmp_path / "config.toml"
    file.write_text(REST + transport)
    return load(file, {"CDC_TRANSPORT__PASSWORD": "s3cret", "CDC_TRANSPORT__PARTITIONS": "6"}).transport


def test_the_example_shows_every_key_with_its_default() -> None:
    section = EXAMPLE.read_text().partition("\n[transport]\n")[2].partition("\n[")[0]
    shown = tomllib.loads("\n".join(re.findall(r"^#   (\w+ = .*)", section, flags=re.MULTILINE)))
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    assert set(shown) == set(fields) - {"kind", "max_bytes"}
    for name in set(shown) - set(LEAST):
        default = (
            fields[name].default
            if fields[name].default is not msgspec.NODEFAULT
            else fields[name].default_factory()
        )
        assert shown[name] == default, name


def test_it_is_read_with_what_the_environment_says(tmp_path: Path) -> None:
    found = read(tmp_path, 'kind = "kafka"\nbootstrap_servers = "a:1"\ntopic_prefix = "shop"\n')
    assert isinstance(found, Settings)
    assert (found.password, found.partitions) == ("s3cret", 6)


@pytest.mark.parametrize(
    ("transport", "told"),
    [
        ('kind = "kafak"', "did you mean 'kafka'"),
        ('kind = "kafka"\ntopic_prefix = "x"', "bootstrap_servers: it is missing"),
        ('kind = "kafka"\nbootstrap_servers = "x"\ntopic_prefix = "a b"', "topic_prefix"),
        ('kind = "kafka"\nbootstrap_servers = "x"\ntopic_prefix = "x"\nlingr = 1', "did you mean linger"),
        ('bootstrap_servers = "x"', "there is no such key"),
        ("kind = 7", "expected text"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, transport: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, transport + "\n")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    "given",
    [
        {"security_protocol": "SASL_SSL"},
        {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"},
        {"ssl_certificate": "x"},
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"needs|belong"):
        settings(**given)


def test_one_table_serves_both_clients() -> None:
    one = settings(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        username="u",
        password="p",
        librdkafka={"queue.buffering.max.messages": 7, "socket.keepalive.enable": True},
    )
    config = clients.librdkafka_producer(one)
    assert (config["sasl.mechanisms"], config["sasl.password"]) == ("SCRAM-SHA-512", "p")
    assert (config["partitioner"], config["enable.idempotence"], config["acks"]) == (
        "murmur2_random",
        True,
        "all",
    )
    assert config["queue.buffering.max.messages"] == 7  # the file's own word is the last
    other = clients.kafka_python_producer(one)
    assert (other["sasl_mechanism"], other["sasl_plain_password"]) == ("SCRAM-SHA-512", "p")
    assert (other["enable_idempotence"], other["compression_type"]) == (True, "lz4")
    assert other["bootstrap_servers"] == ["a:1", "b:2"]


def test_a_token_tells_when_it_ends() -> None:
    token = "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9."
    assert expiry(token) == 4102444800
    assert expiry("opaque") == expiry("a.b.c") == 0
    assert token_source(settings(oauth_token=token))() == (token, 4102444800)


BROKER = 'kind = "kafka"\nbootstrap_servers = "a:1"\ntopic_prefix = "shop"\n'


def read_letters(tmp_path: Path, topic: str, transport: str = BROKER) -> str:
    """The topic of dead letters that a warehouse has by its settings."""
    file = tmp_path / "config.toml"
    text = f'{REST}{transport}[warehouses.w]\nkind = "duckdb"\npath = "w"\ndead_letter_topic = "{topic}"\n'
    file.write_text(text.replace('[warehouses.w]\nkind = "duckdb"\npath = "w"\n', "", 1))
    return load(file, {}).warehouses["w"].dead_letter_topic


@pytest.mark.parametrize("topic", ["shop.cdc-dead-letters", "shop.w.cdc-dead-letters", "shop-dlq", "dlq"])
def test_a_topic_of_dead_letters_has_any_name_that_no_table_can_have(tmp_path: Path, topic: str) -> None:
    assert read_letters(tmp_path, topic) == topic


@pytest.mark.parametrize(
    "topic", ["shop.public.dlq", "shop.cdc-progress", "shop.cdc-schemas", "shop.transaction", "a b"]
)
def test_a_name_that_is_for_another_topic_is_refused(tmp_path: Path, topic: str) -> None:
    with pytest.raises(ConfigError, match=r"\[warehouses.w\] dead_letter_topic"):
        read_letters(tmp_path, topic)


def test_without_a_broker_there_is_no_topic_for_dead_letters(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the table _cdc_dead_letters tells of them") as raised:
        read_letters(tmp_path, "dlq", "")
    assert raised.value.where.endswith("config.toml: [warehouses.w] dead_letter_topic")
    assert raised.value.what == 'there are no topics with [transport] kind = "memory"'
