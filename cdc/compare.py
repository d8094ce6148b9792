"""Tells apart the rows of two sides that came in the order of key hash and row hash. Pure; keeps one key in memory.

Rows of one key that are equal on both sides cancel out. What is left of a key on both sides is *different*, only in the source
*missing* (in the target), only in the target *unexpected*. A key may occur more than once: without a unique index, a
target can hold it twice, and a table without a key holds equal rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import msgspec

from cdc.interfaces import Hashed


class Differences(msgspec.Struct):
    """Counts of rows by kind, and keys of the first ones. `rows`: those looked at, on both sides."""

    limit: int
    missing: int = 0
    unexpected: int = 0
    different: int = 0
    missing_keys: list[str] = []
    unexpected_keys: list[str] = []
    different_keys: list[str] = []
    rows: int = 0

    @property
    def total(self) -> int:
        return self.missing + self.unexpected + self.different


def compare(
    source: Iterable[Hashed],
    target: Iterable[Hashed],
    limit: int,
    step: Callable[[int], None] = lambda _: None,
) -> Differences:
    """Merge two ordered sides. `step` is told now and then how many rows have been looked at."""
    found = Differences(limit)
    for count, (key, ours, theirs) in enumerate(_by_key(source, target)):
        found.rows += ours.total() + theirs.total()
        if ours != theirs:
            _add(found, key, (ours - theirs).total(), (theirs - ours).total())
        if count % 10_000 == 0:
            step(found.rows)
    return found


def _add(found: Differences, key: str, only_source: int, only_target: int) -> None:
    different = min(only_source, only_target)
    for kind, keys, count in (
        ("different", found.different_keys, different),
        ("missing", found.missing_keys, only_source - different),
        ("unexpected", found.unexpected_keys, only_target - different),
    ):
        if count:
            setattr(found, kind, getattr(found, kind) + count)
            if len(keys) < found.limit:
                keys.append(key)


def _by_key(
    source: Iterable[Hashed], target: Iterable[Hashed]
) -> Iterator[tuple[str, Counter[str], Counter[str]]]:
    """For each key of either side, its text and how often it has which row hash."""
    groups, others = _groups(source), _groups(target)
    ours, theirs = next(groups, None), next(others, None)
    while ours or theirs:
        if theirs is None or (ours and ours[0] < theirs[0]):
            assert ours is not None
            yield ours[1], ours[2], Counter()
            ours = next(groups, None)
        elif ours is None or theirs[0] < ours[0]:
            yield theirs[1], Counter(), theirs[2]
            theirs = next(others, None)
        else:
            yield ours[1], ours[2], theirs[2]
            ours, theirs = next(groups, None), next(others, None)


def _groups(side: Iterable[Hashed]) -> Iterator[tuple[str, str, Counter[str]]]:
    for key_hash, rows in groupby(side, key=lambda row: row.key_hash):
        hashes: Counter[str] = Counter()
        key = ""
        for row in rows:
            hashes[row.row_hash] += 1
            key = row.key
        yield key_hash, key, hashes
