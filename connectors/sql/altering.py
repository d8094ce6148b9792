"""Which alterations of a table are still to be done, one after the other; each connector writes them in its SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from cdc.errors import ColumnRefused
from cdc.merge import Alteration, DropDefault, DropTable, RenameColumn
from cdc.schema import Column, Table


def still_to_do(
    table: Table,
    present: Collection[str],
    alterations: Sequence[Alteration],
    fold: Callable[[str], str] = str,
    defaults: Collection[str] = (),
) -> Iterator[Alteration]:
    """Those that find what they alter: `present` are the target's columns, none if it has no such table, and `defaults` those
    of them that have a default.

    `fold` makes names equal that the target takes for the same. Raises ColumnRefused for a name that another column has.
    """
    left, filled = set(present), set(defaults)
    for each in alterations:
        if isinstance(each, DropTable):
            if left:
                yield each
            left.clear()
        elif isinstance(each, DropDefault):
            if each.name in left & filled:
                filled.remove(each.name)
                yield each
        elif each.name in left:
            left.remove(each.name)
            if isinstance(each, RenameColumn):
                if fold(each.to) in map(fold, left):
                    what = f"column {each.name} cannot be renamed to {each.to}, which is there already"
                    raise ColumnRefused(what, column=each.to, where=table.full_name)
                left.add(each.to)
                filled |= {each.to} if each.name in filled else set()
            filled.discard(each.name)
            yield each


def another_type(table: Table, column: Column, present: str, wanted: str) -> ColumnRefused:
    """A column that is there with a type which does not hold the source's values, and cannot be altered so that it does."""
    return ColumnRefused(
        f"column {column.name} is {present} in the target, and the source now sends"
        f" {column.type_name or column.type.kind} (kept as {wanted})",
        why="the rows that are there cannot be converted without altering some",
        column=column.name,
        where=table.full_name,
        hint=f"`cdc resync {table.full_name}` copies the table anew; or alter the column yourself and start again",
    )


def check_moved(table: Table, ours: Sequence[str], theirs: Sequence[str]) -> None:
    """Raise ColumnRefused if rows of another table of these columns could not be moved into this one without a cast, which might
    alter values in silence. Given the types of both tables' columns."""
    for column, here, there in zip(table.columns, ours, theirs, strict=True):
        if here != there:
            raise ColumnRefused(
                f"column {column.name} is {here} in the target, and {there} where its rows were gathered anew",
                why="a cast from the one to the other might alter values",
                column=column.name,
                where=table.full_name,
                hint=f"alter the target's column to {there} and start again",
            )
