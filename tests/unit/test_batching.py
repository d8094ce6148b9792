"""Batches of the embedded transport where changes are spread over many tables."""

from __future__ import annotations

from dataclasses import replace

from tests.fixtures.transport import TABLE, Transport, publish, received, transaction


def test_a_batch_of_many_tables_is_larger() -> None:
    transport = Transport()
    publisher = transport.make(batch_rows=150)
    tables = [replace(TABLE, name=f"t{n}") for n in range(4)]
    for lsn in range(1, 1201):
        publish(publisher, *transaction(lsn, table=tables[lsn % 4] if lsn < 500 else tables[lsn % 2]))
    assert [batch.rows for batch in received(transport.subscribers[0])] == [450, 450, 150, 150]


def test_who_works_on_many_tables_is_given_few_rows_of_each_only_when_done() -> None:
    transport = Transport()
    publisher = transport.make(batch_rows=1000, max_delay=0.0)
    [subscriber] = transport.subscribers
    tables = [replace(TABLE, name=f"t{n}") for n in range(3)]
    publish(publisher, *transaction(1))
    assert subscriber.receive(0) is not None
    for lsn in range(2, 301):
        publish(publisher, *transaction(lsn, table=tables[lsn % 3]))
    assert [batch.rows for _, _, batch in subscriber.waiting] == [1]  # the first, when it was of one table
    assert [batch.rows for batch in received(subscriber)] == [1]
    publish(publisher, *transaction(301))
    assert [batch.rows for batch in received(subscriber)] == [299]


def test_a_large_transaction_over_many_tables_comes_in_larger_pieces() -> None:
    transport = Transport()
    publisher = transport.make(batch_rows=3)
    tables = [replace(TABLE, name=f"t{n}") for n in range(4)]
    begin, _, commit = transaction(10)
    changes = [transaction(10, table=tables[n % 4])[1] for n in range(25)]
    publish(publisher, begin, *changes, commit)
    assert [batch.rows for batch in received(transport.subscribers[0])] == [12, 12]
