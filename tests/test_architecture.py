"""The arrows between the parts, held by reading the imports of every file that there is.

Files are found by looking, so a new one is judged from its first day; those that must exist by now are
listed, so that no rule holds only because there is nothing to judge.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# No IO, no clock, and nothing of the engine but each other and the errors.
PURE = {
    *(
        "cdc.lsn",
        "cdc.events",
        "cdc.schema",
        "cdc.pgtypes",
        "cdc.pgtypes_builtin",
        "cdc.type_names",
        "cdc.fold",
        "cdc.merge",
        "cdc.tables",
    ),
    *(
        "cdc.lag",
        "cdc.digest",
        "cdc.origin",
        "cdc.progress",
        "cdc.reshape",
        "cdc.copy_request",
        "cdc.shadows",
        "cdc.marks",
        "cdc.batching",
        "cdc.interfaces",
        "cdc.wire",
    ),
    *("cdc.source.messages", "cdc.source.frames", "cdc.source.tuples", "cdc.source.typmod"),
    *("cdc.source.pgoutput", "cdc.source.wal2json", "cdc.source.wal2json_relations"),
    *("cdc.source.assemble", "cdc.source.copy_frames", "cdc.source.feed", "cdc.source.visibility"),
}
PURE_MAY_IMPORT = PURE | {"cdc.errors", "cdc.format", "cdc.settings"}
PURE_PACKAGES = {"msgspec"}  # third-party; of the standard library, all but these:
IMPURE_STDLIB = {
    *("asyncio", "concurrent", "ctypes", "fcntl", "getpass", "glob", "http", "importlib", "io", "logging"),
    *("multiprocessing", "os", "pathlib", "platform", "queue", "random", "resource", "sched", "secrets"),
    *("select", "selectors", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl", "subprocess"),
    *("sys", "syslog", "tempfile", "threading", "time", "urllib", "uuid"),
}
IMPORT_LATE = {"cdc.wire"}  # by name; what that may be is seen in their imports for type checkers
IMPURE_CALLS = {"open", "input", "print", ".now", ".utcnow", ".today"}

DRIVERS = {"confluent_kafka", "duckdb", "kafka", "psycopg", "pyarrow", "snowflake", "sqlalchemy"}
SHARED = "connectors.sql"  # what connectors have in common

# Those that must be there: extend both as files come.
PURE_MODULES_EXPECTED = PURE - {"cdc.wire"}
ENTRY_POINTS_EXPECTED = {"cdc.cli:main", "connectors.duckdb", "connectors.postgres"}

LONGEST_FILE = 250
MAY_BE_LONGER: dict[str, str] = {}  # path: why two files would be worse


def sources(*folders: str) -> list[Path]:
    """Every Python file below, as paths from the root."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each import anywhere in a file: the module, absolute, and the names taken from it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.parent.parts[: len(path.parent.parts) - node.level + 1] if node.level else ()
            module = ".".join((*package, *([node.module] if node.module else [])))
            yield module, tuple(alias.name for alias in node.names)


def imported_modules(path: Path) -> set[str]:
    """All that a file imports; `from package import module` counts as the module."""
    found = set()
    for module, names in imports(path):
        inside = [f"{module}.{name}" for name in names]
        found |= {name if name in PROJECT else module for name in inside or [module]}
    return found


def calls(path: Path) -> Iterator[str]:
    """What a file calls: `open` for a plain name, `.now` for an attribute of whatever."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield f".{node.func.attr}"


def part(module: str) -> str:
    """cdc, connectors, or connectors.X: the part that a module belongs to."""
    top, *rest = module.split(".")
    return ".".join((top, *rest[:1])) if top == "connectors" else top


PROJECT = {module_name(path): path for path in sources("cdc", "connectors")}
ENGINE = sorted(name for name in PROJECT if part(name) == "cdc")
CONNECTORS = sorted({part(name) for name in PROJECT} - {"cdc", "connectors"})
PURE |= {name for name in PROJECT if name.startswith(("cdc.wire.", "cdc.modes"))} | {
    "cdc.format",
    "cdc.settings",
}
PURE_MAY_IMPORT |= PURE
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENTRY_POINTS = {*PYPROJECT["scripts"].values(), *PYPROJECT["entry-points"]["cdc.connectors"].values()}


def test_what_is_expected_is_judged() -> None:
    assert PURE & PROJECT.keys() >= PURE_MODULES_EXPECTED
    assert ENTRY_POINTS >= ENTRY_POINTS_EXPECTED


def test_imports_are_seen_wherever_and_however_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text("import os.path\nfrom cdc import lsn\nif x.now(open(1)):\n    from cdc.lsn import Lsn")
    assert imported_modules(file) == {"os.path", "cdc.lsn"}
    assert set(calls(file)) == {".now", "open"}


@pytest.mark.parametrize("module", ENGINE)
def test_engine_knows_no_connector_and_does_not_print(module: str) -> None:
    assert {part(name) for name in imported_modules(PROJECT[module])}.isdisjoint({"connectors", *CONNECTORS})
    assert "print" not in calls(PROJECT[module])


@pytest.mark.parametrize("module", sorted(PROJECT.keys() - set(ENGINE)))
def test_connector_knows_no_other(module: str) -> None:
    parts = {part(name) for name in imported_modules(PROJECT[module])}
    assert parts & {"connectors", *CONNECTORS} <= {part(module), SHARED}


@pytest.mark.parametrize("module", sorted(PURE & PROJECT.keys()))
def test_pure_module_only_computes(module: str) -> None:
    for name in imported_modules(PROJECT[module]):
        top = name.split(".")[0]
        if top == "cdc":
            assert name in PURE_MAY_IMPORT
        else:
            late = {"importlib"} if module in IMPORT_LATE else set()
            assert top in PURE_PACKAGES | late | (sys.stdlib_module_names - IMPURE_STDLIB)
    assert IMPURE_CALLS.isdisjoint(calls(PROJECT[module]))


@pytest.mark.parametrize("package", sorted(IMPORT_LATE))
def test_what_is_imported_late_is_there(package: str) -> None:
    loaded = importlib.import_module(package)
    homes = {getattr(getattr(loaded, name), "__module__", "") for name in loaded.__all__}
    assert imported_modules(PROJECT[package]) >= {home for home in homes if home.startswith(package)}


@pytest.mark.parametrize("connector", [name for name in CONNECTORS if name != SHARED])
def test_connector_is_cheap_to_look_at(connector: str) -> None:
    program = f"import sys, {connector}; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT).split()
    assert connector in loaded
    assert DRIVERS.isdisjoint(loaded)


@pytest.mark.parametrize("target", sorted(ENTRY_POINTS))
def test_entry_point_resolves(target: str) -> None:
    module, _, attribute = target.partition(":")
    if module not in PROJECT and target not in ENTRY_POINTS_EXPECTED:
        pytest.skip(f"{module} is still to come")
    loaded = importlib.import_module(module)
    assert callable(getattr(loaded, attribute)) if attribute else loaded.Settings and loaded.connect


@pytest.mark.parametrize("path", sources("cdc", "connectors", "tests"), ids=str)
def test_file_is_short(path: Path) -> None:
    lines = len((ROOT / path).read_text().splitlines())
    assert (lines > LONGEST_FILE) == (str(path) in MAY_BE_LONGER), f"{lines} lines"
