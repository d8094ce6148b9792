"""What every test can ask for: the fixtures of these modules, as plugins so that their asserts explain."""

from __future__ import annotations

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
