"""Which SQL of a stranger's is run beside the writer: what only looks, and nothing else, however it is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.config import Config, SourceSettings, SqlSettings
from cdc.errors import CdcError, ConfigError
from cdc.query import QueryRequest, Questions
from connectors import duckdb as connector
from connectors.duckdb.statement import REFUSED, TABLE_FUNCTIONS, admitted
from connectors.duckdb.warehouse import DuckDBWarehouse
from tests.fixtures.hostile_sql import CHANGES, LOOKS, REACHES, WRAPPED

SECRET = "the-text-of-another-file"
HARMLESS = {  # of the functions that DuckDB says have side effects
    *(
        "current_connection_id",
        "current_query",
        "current_query_id",
        "current_transaction_id",
        "currval",
        "error",
    ),
    *("gen_random_uuid", "random", "stats", "uuid", "uuidv4", "uuidv7", "vector_type"),
}


class Target:
    """A warehouse with one table, and a file beside it that is nobody's business."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = folder / "w.duckdb"
        (folder / "secret.csv").write_text(SECRET)
        made = connector.Settings(path=str(self.own))
        self.warehouse: DuckDBWarehouse = connector.connect(made, "local")
        self.cursor = self.warehouse.cursor()
        self.cursor.execute("create table t (a int, b varchar); insert into t values (1, 'a'), (2, 'b')")
        self.cursor.execute("create sequence s")
        config = Config(
            source=SourceSettings(dsn=""), warehouses={"local": made}, sql=SqlSettings(max_seconds=20)
        )
        self.questions = Questions(config, lambda _: self.warehouse)
        self.before = self.state()

    def state(self) -> object:
        """All that a statement could have changed."""
        run = self.cursor.execute
        return (
            run("from t").fetchall(),
            run("select database_name, schema_name, sql from duckdb_tables() order by all").fetchall(),
            run("select view_name, sql from duckdb_views() order by all").fetchall(),
            run(
                "select function_name, count(*) from duckdb_functions() group by all order by all"
            ).fetchall(),
            run("select * from duckdb_sequences()").fetchall(),
            run("select database_name, path from duckdb_databases() order by all").fetchall(),
            run("select name, value from duckdb_settings() order by all").fetchall(),
            sorted(path.name for path in self.folder.rglob("*") if "w.duckdb" not in path.name),
            (self.folder / "secret.csv").read_text(),
        )

    def ask(self, sql: str) -> str:
        sql = sql.format(file=self.folder / "secret.csv", folder=self.folder, own=self.own)
        return b"".join(self.questions.answer(QueryRequest(sql), lambda: False)).decode()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    made = Target(tmp_path_factory.mktemp("statement"))
    yield made
    made.cursor.close()
    made.warehouse.close()


@pytest.mark.parametrize("sql", LOOKS)
def test_what_only_looks_is_answered(target: Target, sql: str) -> None:
    told = target.ask(sql.replace("{", "{{").replace("}", "}}"))
    assert '"error":null' in told, told


@pytest.mark.parametrize("sql", [*CHANGES, *REACHES])
def test_what_changes_or_reaches_anything_is_refused_and_leaves_all_as_it_was(
    target: Target, sql: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        target.ask(sql)
    assert SECRET not in str(raised.value)
    assert target.state() == target.before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([*CHANGES, *REACHES]), st.lists(st.sampled_from(WRAPPED), max_size=3), st.booleans())
def test_however_it_is_wrapped(target: Target, sql: str, wrappers: list[str], upper: bool) -> None:
    text = sql.format(file=target.folder / "secret.csv", folder=target.folder, own=target.own)
    for wrapper in wrappers:
        text = wrapper.format(text)
    text = (
        "".join(c.upper() if upper and n % 2 else c for n, c in enumerate(text)) if "/" not in text else text
    )
    try:
        told = target.ask(text.replace("{", "{{").replace("}", "}}"))
    except CdcError as error:
        told = str(error)
    assert SECRET not in told
    assert target.state() == target.before


OF_A_SESSION = (
    "set",
    "reset",
    "pragma",
    "begin",
    "commit",
    "commit;",
    "rollback",
    "use",
    "create",
    "prepare",
)


@pytest.mark.parametrize("sql", [sql for sql in CHANGES + REACHES if sql.split()[0] not in OF_A_SESSION])
def test_the_other_fences_hold_without_the_first(target: Target, sql: str) -> None:
    """Were the parser's word wrong, a read-only transaction and a closed file system would do, but for what sets or ends."""
    text = sql.format(file=target.folder / "secret.csv", folder=target.folder, own=target.own)
    cursor = target.warehouse.cursor()
    cursor.execute("begin transaction read only")
    try:
        told = repr(cursor.execute(f"select a::varchar from ({text}) q(a)").fetchall())
    except duckdb.Error as error:
        told = str(error)
    finally:
        cursor.close()
    assert SECRET not in told
    assert target.cursor.execute("from t").fetchall() == [(1, "a"), (2, "b")]


def test_every_function_with_effects_is_known(target: Target) -> None:
    """A new version of DuckDB may bring one."""
    flagged = "select distinct function_name from duckdb_functions() where has_side_effects"
    assert {name for (name,) in target.cursor.execute(flagged).fetchall()} <= REFUSED | HARMLESS
    kinds = "select distinct function_name from duckdb_functions() where function_type like 'table%'"
    known = {name for (name,) in target.cursor.execute(kinds).fetchall()}
    assert known >= TABLE_FUNCTIONS
    risky = {name for name in known if name.startswith(("read_", "enable_", "disable_")) or "scan" in name}
    assert risky.isdisjoint(TABLE_FUNCTIONS)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("selec 1", r"LINE 1: selec 1\n\s+\^"),
        ("select nothing from t", '"nothing" not found'),
        ("select 'x'::int", "Could not convert string 'x'"),
        ("", "0 statements"),
        ("select $1", "parameters"),
        ("pivot t on a", "if it names its values"),
        ("delete from t", "it is a DELETE"),
    ],
)
def test_what_is_wrong_is_told_as_duckdb_tells_it(target: Target, sql: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        target.ask(sql)


def test_the_end_of_a_statement_is_found_behind_other_signs(target: Target) -> None:
    for sql in ("select 'ü;' ; -- é;", "select $$;$$;", 'select 1 as ";"', "/* ; */ select 1 -- ;"):
        text, is_select = admitted(target.cursor, sql)
        assert is_select
        assert not text.rstrip().endswith(";") or text.rstrip().endswith("-- ;")
        target.cursor.execute(f"select * from (\n{text}\n)")
