"""Recorded streams of real servers give the events that were recorded with them; no server is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.make_streams import STREAMS, make_feed, told

RECORDED = sorted(STREAMS.glob("*.txt"))


def events(path: Path) -> list[str]:
    feed = make_feed(path.name.split("-")[0])
    frames = [bytes.fromhex(line) for line in path.read_text().splitlines()]
    return [told(event) for frame in frames for event in feed(frame)]


def test_there_are_recordings() -> None:
    assert {path.stem for path in RECORDED} == {"pgoutput-15", "pgoutput-16", "pgoutput-18", "wal2json-15"}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_stream(path: Path) -> None:
    assert events(path) == path.with_suffix(".events").read_text().splitlines()


@pytest.mark.parametrize("version", [16, 18])
def test_versions_agree(version: int) -> None:
    """A system's types may have other OIDs; what is told does not contain them."""
    assert events(STREAMS / f"pgoutput-{version}.txt") == events(STREAMS / "pgoutput-15.txt")
