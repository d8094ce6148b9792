"""Rules of marks, for every warehouse that keeps them: which is ahead, and whose commit comes too late. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from cdc.errors import Overtaken
from cdc.interfaces import Mark


def is_ahead(mark: Mark, of: Mark | None) -> bool:
    """Is it ahead of another of the same partition, or of none?"""
    return of is None or (mark.offset, mark.position) > (of.offset, of.position)


def moved(marks: Mapping[str, Mark], known: Mapping[str, Mark]) -> dict[str, Mark]:
    """Those of `marks` that are ahead of what is known: the ones to be stored."""
    return {name: mark for name, mark in marks.items() if is_ahead(mark, known.get(name))}


def check_overtaken(stored: Mapping[str, Mark], known: Mapping[str, Mark], *, where: str) -> None:
    """Raise Overtaken if a stored mark is ahead of the one that an applier knew when it began its work."""
    for name, mark in stored.items():
        if is_ahead(mark, known.get(name)):
            raise overtaken(name, where)


def overtaken(partition: str, where: str) -> Overtaken:
    return Overtaken(
        "another applier has gone on with what this one was applying",
        why=f"the mark of {partition} has moved since it was read",
        where=where,
        hint="what was not committed is taken back, and it starts again from there",
    )
