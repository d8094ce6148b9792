"""Values for PostgreSQL to judge: per type a strategy of input texts, of which it drops what it does not take, and extremes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from hypothesis import strategies as st

from cdc.schema import LogicalType
from connectors.duckdb import Settings

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
structure = ["{}", "[1]", "a,b", "\\u005b", "\t\n\r\v\f\x01\x1f", "\\x", "é😀"]
tricky = st.sampled_from(
    [
        *structure,
        "",
        "null",
        "NULL",
        "Nullable",
        " ",
        "\\",
        '"',
        "{}",
        "[1]",
        "a,b",
        "\\u005b",
        "\t\n\r\v\f\x01\x1f",
        "é😀",
        "\\x",
    ]
)
words = st.one_of(texts, tricky, st.lists(tricky, max_size=4).map("".join))
digits = st.text("0123456789", min_size=1, max_size=60)
numbers = st.one_of(
    st.decimals(allow_nan=True).map(str),
    st.builds(lambda sign, a, b: f"{sign}{a}.{b}", st.sampled_from(["", "-"]), digits, digits),
    st.integers(-(10**12), 10**12).map(lambda n: str(n / 100)),
)
years = st.one_of(st.integers(1, 3000), st.integers(1, 294276), st.integers(1, 5874897))
bc = st.sampled_from(["", "", "", " BC"])
dates = st.builds("{:04d}-{:02d}-{:02d}".format, years, st.integers(1, 12), st.integers(1, 31))
times = st.builds(
    "{:02d}:{:02d}:{:02d}.{:06d}".format,
    st.integers(0, 23),
    *[st.integers(0, 59)] * 2,
    st.integers(0, 999999),
)
offsets = st.builds("{:+03d}:{:02d}".format, st.integers(-15, 15), st.integers(0, 59))
whole = st.integers(-(2**31), 2**31 - 1)
few = st.integers(-20, 20)
intervals = st.builds(
    "{} months {} days {} microseconds".format,
    *[st.one_of(few, whole)] * 2,
    st.one_of(few, st.integers(-(2**63) + 1, 2**63 - 1), st.integers(-(10**12), 10**12)),
)
documents = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), words
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=8,
).map(lambda value: json.dumps(value, ensure_ascii=False))
bits = st.text("01", max_size=40)
points = st.builds("({!r},{!r})".format, st.floats(), st.floats())


@dataclass(frozen=True)
class Case:
    """`rules` are settings of the warehouse."""

    type_name: str
    values: st.SearchStrategy[str]
    extremes: tuple[str, ...] = ()
    rules: dict[str, str] = field(default_factory=dict)


SPECIAL_FLOATS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "-0",
    "0",
    "1e-7",
    "1e15",
    "1e22",
    "0.1",
    "123456.7",
    "1e-45",
)
FAR_TIMES = (
    *(
        "infinity",
        "-infinity",
        "4713-01-01 00:00:00 BC",
        "0001-12-31 23:59:59.999999 BC",
        "294276-12-31 23:59:59",
    ),
    *(
        "294247-01-10 04:00:54.775806",
        "294247-01-10 04:00:54.775807",
        "0004-02-29 12:00:00 BC",
        "10000-01-01 00:00:00",
    ),
)
ROUNDED = {"unconstrained_numeric": "decimal(38,9)"}
floats = st.one_of(st.floats(), st.floats(width=32), st.floats(-1e6, 1e6)).map(repr)
SCALARS = (
    Case("bool", st.sampled_from(["t", "f"])),
    Case("int2", st.integers(-(2**15), 2**15 - 1).map(str), ("-32768", "32767")),
    Case("int4", whole.map(str), ("-2147483648", "2147483647")),
    Case("int8", st.integers(-(2**63), 2**63 - 1).map(str), ("-9223372036854775808", "9223372036854775807")),
    Case("oid", st.integers(0, 2**32 - 1).map(str), ("4294967295",)),
    Case("xid8", st.integers(0, 2**64 - 1).map(str), ("18446744073709551615",)),
    Case("float4", floats, (*SPECIAL_FLOATS, "3.4028235e38")),
    Case("float8", floats, (*SPECIAL_FLOATS, "5e-324", "1.7976931348623157e308", "0.30000000000000004")),
    Case("numeric", numbers, ("NaN", "Infinity", "-Infinity", "1.0", "1.00", "0.000", "9" * 1000, "1e-1000")),
    Case("numeric", numbers, ("1.50", "100", "0.00", "-0.10", "NaN", "1e-10", "1e29"), ROUNDED),
    Case("numeric(10,2)", numbers, ("NaN", "-0.01", "99999999.99", "0.005")),
    Case("numeric(38,10)", numbers, ("9" * 28 + "." + "9" * 10,)),
    Case("numeric(40,2)", numbers, ("9" * 38 + ".99", "NaN")),
    Case("numeric(5,5)", numbers, ("0", "0.00001", "-0.00001", "0.99999")),
    Case("numeric(3,5)", numbers, ("0.00123", "-0.00123", "0")),
    Case("numeric(5,-2)", numbers, ("1234567", "-1234567", "49", "0")),
    Case("money", st.integers(-(10**9), 10**9).map(lambda n: str(n / 100)), ("-92233720368547758.08", "1234567.89")),
    Case("text", words),
    Case("varchar(5)", words),
    Case("char(5)", words, ("", "a", "ab ")),
    Case('"char"', st.characters(codec="ascii", exclude_characters="\0")),
    Case("name", words),
    Case("bytea", st.binary().map(lambda data: f"\\x{data.hex()}"), ("\\x", "\\x00", "\\xff00")),
    Case("bit(1)", bits),
    Case("bit(13)", st.text("01", min_size=13, max_size=13)),
    Case("varbit", bits, ("",)),
    Case("varbit(7)", bits, ("",)),
    Case("uuid", st.uuids().map(str), ("0" * 32, "f" * 32)),
    Case("json", documents, ('{"a": 1,  "a":1e400}', "null", '"\\u0041"')),
    Case("jsonb", documents, ('{"a": 1,  "a":1e400}', "null", '"\\u0041"')),
    Case("date", st.builds(str.__add__, dates, bc), ("infinity", "-infinity", "4713-01-01 BC", "0001-01-01", "5874897-12-31")),
    Case("time", times, ("00:00:00", "24:00:00")),
    Case("timetz", st.builds(str.__add__, times, offsets), ("24:00:00-15:59:59", "00:00:00+15:59:59", "00:00:00+00")),
    Case("timestamp", st.builds("{} {}{}".format, dates, times, bc), FAR_TIMES),
    Case("timestamptz", st.builds("{} {}{}{}".format, dates, times, offsets, bc), FAR_TIMES),
    Case(
        "interval",
        intervals,
        (
            *("infinity", "-infinity", "0", "-1 mon +1 day -00:00:00.5", "-178956970 years -8 mons", "1 year -1 day"),
            *("2562047788:00:54.775807", "-2562047788:00:54.775807", "1 mon", "30 days", "24 hours", "-00:00:01"),
        ),
    ),
    *(Case(name, st.ip_addresses().map(str), ("1.2.3.4/8",)) for name in ("inet", "cidr")),
    Case("macaddr", st.binary(min_size=6, max_size=6).map(lambda data: data.hex(":"))),
    Case("macaddr8", st.binary(min_size=8, max_size=8).map(lambda data: data.hex(":"))),
    Case("pg_lsn", st.builds("{:X}/{:X}".format, *[st.integers(0, 2**32 - 1)] * 2)),
    Case("tsvector", words),
    Case("tsquery", words, ("a & b",)),
    Case("jsonpath", words, ("$.a", "")),
    Case("point", points),
    Case("box", st.builds("{},{}".format, points, points)),
    Case("circle", st.builds("<{},1.5>".format, points)),
    Case("int4range", st.builds("[{},{})".format, few, few), ("empty", "(,)")),
    Case("tstzrange", st.just("empty"), ('["2024-01-01 00:00:00+00",)', "(,infinity]")),
    Case("int4multirange", st.builds("{{[{},{})}}".format, few, few), ("{}",)),
    Case("mood", st.sampled_from(["", "so so", "NULL", 'happy,"{}'])),
)  # fmt: skip
ARRAYS = [(case, "list") for case in SCALARS]
ARRAYS += [
    (c, "json")
    for c in SCALARS
    if c.type_name in ("bool", "int4", "float8", "text", "bytea", "timestamptz", "jsonb")
]
ARRAYS += [(c, "text") for c in SCALARS if c.type_name == "text"]


def array_texts(case: Case) -> st.SearchStrategy[str]:
    """Arrays of a case's values, with NULLs, of one dimension for the most part."""
    element = st.one_of(st.none(), case.values, st.sampled_from(case.extremes or ("",)))
    one = st.lists(element, max_size=5).map(_array)
    two = st.lists(st.lists(element, min_size=2, max_size=2).map(_array), min_size=1, max_size=3)
    return st.one_of(
        one, one, one, two.map(lambda rows: f"{{{','.join(rows)}}}"), one.map(lambda text: f"[0:0]={text}")
    )


def _array(elements: list[str | None]) -> str:
    quoted = ("NULL" if e is None else '"' + re.sub(r'(["\\])', r"\\\1", e) + '"' for e in elements)
    return f"{{{','.join(quoted)}}}"


LAST_TIME = "294247-01-10 04:00:54.775806"


def is_refused(kind: LogicalType, text: bytes, settings: Settings) -> bool:
    """Whether the rules say that this value cannot be kept."""
    value = text.decode()
    if kind.kind == "array":
        assert kind.element is not None
        if settings.arrays == "text" or kind.element.kind == "box":
            return False
        if value[0] != "{":
            return True
        if settings.arrays == "json":
            return False
        if value.startswith("{{"):
            return True
        elements = re.findall(r'"(?:[^"\\]|\\.)*"|[^{},]+', value)
        return any(
            e != "NULL" and is_refused(kind.element, e.strip('"').encode(), settings) for e in elements
        )
    if kind.kind in ("timestamp", "timestamptz"):
        value = value.removesuffix("+00")
        year = value.split("-")[0]
        last = LAST_TIME.split("-")[0]
        after = (
            (int(year), value[len(year) :]) > (int(last), LAST_TIME[len(last) :]) if year.isdigit() else False
        )
        return after and not value.endswith("BC")
    if kind.kind == "interval":
        return "infinity" in value
    if kind.kind == "numeric" and kind.precision is not None and kind.precision <= 38:
        return value == "NaN"
    if kind.kind == "numeric" and kind.precision is None and settings.unconstrained_numeric != "text":
        whole, _, decimals = value.lstrip("-").partition(".")
        return not value[-1].isdigit() or len(decimals) > 9 or len(whole.lstrip("0")) > 29
    return False
