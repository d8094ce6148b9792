"""Copies made anew, beside a table that is in use: what is refused of them, and what they mend."""

from __future__ import annotations

import msgspec
import pytest

from cdc.events import Chunk
from cdc.interfaces import Batch, Checkpoint
from cdc.progress import Progress, encode_progress
from tests.unit.test_refusals import NUMERIC, Kept, T, U, insert


def shadow(batch: Batch, *, last: bool = False) -> Batch:
    """The same chunk, of a copy that is gathered beside the table."""
    [chunk] = batch.events
    assert isinstance(chunk, Chunk)
    chunk = msgspec.structs.replace(chunk, shadow=True, last=last, fresh=True)
    control = encode_progress(chunk.table.full_name, Progress(shadow=True, oid=1, done=last))
    assert batch.checkpoint
    checkpoint = Checkpoint(batch.checkpoint.marks, {control.key: control.value})
    return msgspec.structs.replace(batch, events=[chunk], checkpoint=checkpoint)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_parked_table_is_replaced_at_once_and_follows_the_stream(restarted: bool) -> None:
    kept = Kept()
    kept.run(kept.batch(insert(T, "0", "old"), insert(T, "1", "a")), kept.batch(insert(NUMERIC, "2", "2")))
    assert kept.parked == {"public.t"}
    copy = [
        shadow(kept.chunk(NUMERIC, "1,1\n", first=True)),
        kept.batch(insert(NUMERIC, "9", "9"), insert(U, "1", "a")),
        shadow(kept.chunk(NUMERIC, "2,2\n")),
        kept.batch(insert(NUMERIC, "8", "8")),
        shadow(kept.chunk(NUMERIC, "3,3\n"), last=True),
        kept.batch(insert(NUMERIC, "7", "7")),
    ]
    for part in [[each] for each in copy] if restarted else [copy]:
        kept.run(*part)
    assert kept.rows() == [(key, key) for key in "123789"]
    assert kept.parked == set()
    assert set(kept.warehouse.tables) == {"public.t", "public.u"}
    kept.run(shadow(kept.chunk(NUMERIC, "5,5\n", first=True)))
    assert kept.rows() == [(key, key) for key in "123789"]  # no longer parked: gathered beside it


def test_a_type_that_changed_meanwhile_does_not_empty_what_was_gathered() -> None:
    kept = Kept()
    kept.run(kept.batch(insert(T, "1", "a")))
    kept.run(
        shadow(kept.chunk(NUMERIC, "1,1\n", first=True)), shadow(kept.chunk(NUMERIC, "2,2\n"), last=True)
    )
    assert kept.rows() == [("1", "1"), ("2", "2")]
    assert kept.parked == set()


def test_rows_of_a_copy_beside_the_table_are_left_out_alone() -> None:
    kept = Kept(refused="park_row")
    kept.run(kept.batch(insert(T, "1", "a"), insert(T, "9", "gone")))
    kept.run(shadow(kept.chunk(T, '1,"b ""1"", "\n2,bad\n3,\n', first=True)))
    assert kept.rows() == [("1", "a"), ("9", "gone")]
    kept.run(shadow(kept.chunk(T, "4,bad\n5,e\n"), last=True))
    assert kept.rows() == [("1", 'b "1", '), ("3", None), ("5", "e")]
    assert sum(rows for _, rows in kept.left_out) == 2
