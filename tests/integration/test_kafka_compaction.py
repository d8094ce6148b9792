"""Topics that the broker has really compacted: whoever reads them for the first time gets the source's rows all the same."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from connectors.kafka import Settings
from connectors.kafka.consuming import read_all
from tests.fixtures.line import Replica, eventually
from tests.integration.test_line_kafka import over_kafka as over_kafka

SETUP = """
    create table orders (id int primary key, n int, doc text);
    alter table orders alter doc set storage external;
    create table emptied (id int primary key);
    insert into orders select k, 0, repeat('x', 3000) || k from generate_series(1, 200) k;
    insert into emptied select generate_series(1, 20);
"""
CHANGES = """
    update orders set n = n + 1;
    delete from orders where id % 10 = 0;
    update orders set id = id + 1000 where id % 10 = 1;
    insert into orders values (10, 7, 'again');
    truncate emptied;
    insert into emptied select generate_series(15, 30);
"""
AT_ONCE = {'"segment.ms"': "100", '"min.cleanable.dirty.ratio"': "0.001", '"delete.retention.ms"': "0"}

pytestmark = pytest.mark.timeout(200)


@pytest.mark.parametrize("client", ["librdkafka", "kafka-python"])
def test_a_new_group_after_compaction(over_kafka: Replica, tmp_path: Path, client: str) -> None:
    transport = over_kafka.settings["transport"]
    transport |= {"client": client, "cleanup_policy": "compact"}
    over_kafka.settings["transport.topic"] = AT_ONCE
    database = over_kafka.database
    database.execute(SETUP)
    settings = over_kafka.config.transport
    assert isinstance(settings, Settings)
    topic = f"{settings.topic_prefix}.public.orders"

    def is_compacted() -> bool:
        """Of 600 records and more less than half are left. A segment is closed by the next record behind it."""
        database.execute("update orders set n = n + 1 where id < 10")
        left = list(read_all(settings, topic))
        ends = {record.partition: record.offset + 1 for record in left}
        return len(left) < sum(ends.values()) / 2

    with over_kafka.running() as running:
        running.wait_live()
        database.execute(CHANGES)
        eventually(is_compacted, "the broker has compacted the topic")
    over_kafka.assert_equal()
    for mode in ("upsert", "history"):
        transport["group"] = f"{settings.topic_prefix}-{mode}"
        path = str(tmp_path / f"{mode}.duckdb")
        over_kafka.settings["warehouses.local"] |= {"path": path, "mode": mode}
        over_kafka.catch_up()
        if mode == "upsert":
            assert over_kafka.differences() == {}
    with duckdb.connect(path, read_only=True) as target:
        current = target.execute("select id, n, doc from public.orders where _cdc_is_current order by id")
        assert current.fetchall() == database.query("select id, n, doc from orders order by id")
