"""Tables that change their shape over Kafka, whose partitions an applier has in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.cli import Cli
from tests.fixtures.line import Replica
from tests.integration.test_line_kafka import await_published, listening
from tests.integration.test_line_kafka import over_kafka as over_kafka

pytestmark = pytest.mark.timeout(300)


def test_rows_older_than_a_column_that_come_behind_newer_ones(over_kafka: Replica, tmp_path: Path) -> None:
    """The applier has one partition after the other: of the second, also the older rows come when the target has the column."""
    over_kafka.settings["transport"]["partitions"] = 2
    database, cli, reading = over_kafka.database, Cli(tmp_path), listening(over_kafka)
    database.execute("create table t (id int primary key, v text); insert into t values (0, 'copied')")
    over_kafka.assert_equal()
    for change in (
        "insert into t select n, 'older' from generate_series(1, 40) n; alter table t add x text default 'it''s 7';"
        "insert into t select n, 'newer', null from generate_series(41, 80) n; update t set v = 'again' where id % 3 = 0",
        "insert into t values (81, 'with it', 'x'); alter table t drop x; insert into t select n, 'without'"
        " from generate_series(82, 120) n",
    ):
        with cli.started("read", **reading) as reader:
            await_published(over_kafka, reading)
            for statement in change.split(";"):
                database.execute(statement)
            await_published(over_kafka, reading)
            assert cli.stop(reader).code == 0
        over_kafka.assert_equal()
    told = cli(
        "sql", "--json", "select id, x from public.t order by id", CDC_CONFIG=str(over_kafka.toml)
    ).json
    assert [each["x"] for each in told] == [*["it's 7"] * 41, *[None] * 40, "x", *[None] * 39]
