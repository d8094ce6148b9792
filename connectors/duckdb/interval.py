"""PostgreSQL's text of an interval (IntervalStyle postgres) as an expression over DuckDB's INTERVAL.

Both keep months, days and microseconds apart. PostgreSQL prints each with its sign, and a plus before a part that follows a
negative one: `-1 mons +1 day -00:00:00.5`. Written without subqueries, which DuckDB does not take in a list's elements.
"""

from __future__ import annotations

YEARS, MONTHS, DAYS = "datepart('year', {x})", "datepart('month', {x})", "datepart('day', {x})"
HOURS, MINUTES = "datepart('hour', {x})", "datepart('minute', {x})"
MICROSECONDS = "datepart('microsecond', {x})"  # with the seconds of the minute


def _part(value: str, word: str, before: str) -> str:
    """`value word`, in the plural unless 1, with a plus after a negative part; NULL if zero."""
    plus = f"CASE WHEN {value} > 0 AND {before} < 0 THEN '+' ELSE '' END || " if before else ""
    return f"CASE WHEN {value} <> 0 THEN {plus}{value} || CASE {value} WHEN 1 THEN ' {word}' ELSE ' {word}s' END END"


def _interval_text() -> str:
    after_years = YEARS
    after_months = f"(CASE WHEN {MONTHS} <> 0 THEN {MONTHS} ELSE {YEARS} END)"
    after_days = f"(CASE WHEN {DAYS} <> 0 THEN {DAYS} ELSE {after_months} END)"
    negative = f"({HOURS} < 0 OR {MINUTES} < 0 OR {MICROSECONDS} < 0)"
    sign = f"CASE WHEN {negative} THEN '-' WHEN {after_days} < 0 THEN '+' ELSE '' END"
    seconds = f"printf('%02d.%06d', abs({MICROSECONDS}) // 1000000, abs({MICROSECONDS}) % 1000000)"
    clock = f"printf('%02d:%02d:', abs({HOURS}), abs({MINUTES})) || rtrim(rtrim({seconds}, '0'), '.')"
    time = f"CASE WHEN {HOURS} <> 0 OR {MINUTES} <> 0 OR {MICROSECONDS} <> 0 THEN {sign} || {clock} END"
    parts = [
        _part(YEARS, "year", ""),
        _part(MONTHS, "mon", after_years),
        _part(DAYS, "day", after_months),
        time,
    ]
    printed = f"coalesce(nullif(concat_ws(' ', {', '.join(parts)}), ''), '00:00:00')"
    return f"(CASE WHEN {{x}} IS NOT NULL THEN {printed} END)"


INTERVAL_TEXT = _interval_text()
