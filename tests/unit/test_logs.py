"""What log lines look like, and what is never in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from cdc import logs
from cdc.config import LogSettings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def test_json_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    structlog.get_logger().info(
        "line.started", slot="cdc", dsn="postgresql://me:hunter2@db/x", api_token="hunter2"
    )
    structlog.get_logger().debug("too much")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "hunter2" not in shown.err
    line = json.loads(shown.err)
    assert (line["event"], line["level"], line["slot"]) == ("line.started", "info", "cdc")
    assert line["timestamp"].endswith("Z")


def test_text_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="text", level="debug"))
    structlog.get_logger().debug("line.started", slot="cdc")
    assert "line.started" in capsys.readouterr().err


def test_libraries_speak_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    logging.getLogger("psycopg").warning("lost %s", "it")
    logging.getLogger("psycopg").info("not shown")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["logger"]) == ("lost it", "warning", "psycopg")


def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    try:
        raise ValueError("odd")
    except ValueError:
        structlog.get_logger().exception("bug")
    assert "ValueError: odd" in json.loads(capsys.readouterr().err)["exception"]


def test_a_module_can_be_louder_or_quieter_than_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    here = __name__
    logs.configure(
        LogSettings(level="warning", modules={here: "debug", f"{here}.deep": "error", "psycopg": "info"})
    )
    structlog.get_logger().debug("heard")
    exec("log.info('not heard')", {"__name__": "elsewhere", "log": structlog.get_logger()})
    exec("log.warning('heard, too')", {"__name__": "elsewhere", "log": structlog.get_logger()})
    exec("log.warning('too quiet')", {"__name__": f"{here}.deep.er", "log": structlog.get_logger()})
    logging.getLogger("psycopg.pool").info("of a library")
    lines = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["heard", "heard, too", "of a library"]
