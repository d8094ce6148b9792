"""What every test can ask for: the fixtures of these modules, as plugins so that their asserts explain."""

from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.fixtures.browser",
    "tests.fixtures.container",
    "tests.fixtures.postgres",
    "tests.fixtures.debezium",
    "tests.fixtures.kafka",
    "tests.fixtures.line",
    "tests.fixtures.interop",
    "tests.fixtures.mariadb",
    "tests.fixtures.snowflake",
    "tests.fixtures.page",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that at the end of a run no worker is alone with one."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
