"""What PostgreSQL and libpq report, told as our errors: trying again helps (SourceUnavailable) or it does not
(SourceError).

A statement's failure carries an SQLSTATE. A failed log-in comes without one through libpq, so its text is
looked up; a server that speaks another language than English falls through to the last rule, which tries
again and shows the server's words. Messages of these kinds hold names and addresses, never a password and
never a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from cdc.config import SourceSettings
from cdc.errors import SlotLost, SourceError, SourceUnavailable


class Rule(NamedTuple):
    """Where `pattern` is found in libpq's words: the error, and a hint with `{user}` and `{dbname}`."""

    pattern: str
    error: type[SourceError]
    hint: str


CONNECTION_RULES = (
    Rule(
        r"starting up|shutting down|not (yet )?accepting connections|in recovery mode", SourceUnavailable, ""
    ),
    Rule(
        r"standby connections exceeds|max_wal_senders",
        SourceUnavailable,
        "raise max_wal_senders and restart PostgreSQL, or end another replication (pg_stat_replication)",
    ),
    Rule(
        r"connection slots are reserved|too many clients|too many connections|connection limit",
        SourceUnavailable,
        "raise max_connections, or the role's or database's connection limit, or end other sessions",
    ),
    Rule(
        r"permission denied to start WAL sender|must be superuser or replication role",
        SourceError,
        'alter role "{user}" replication',
    ),
    Rule(
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        SourceError,
        "add a line to pg_hba.conf on the server (`host {dbname} {user} ADDRESS/32 scram-sha-256`), "
        "then `select pg_reload_conf()`",
    ),
    Rule(
        r"authentication failed|no password supplied|password is empty|does not have a valid SCRAM secret",
        SourceError,
        "check user and password: [source] dsn, PGUSER, PGPASSWORD, PGPASSFILE or ~/.pgpass",
    ),
    Rule(r'role ".*" is not permitted to log in', SourceError, 'alter role "{user}" login'),
    Rule(r'role ".*" does not exist', SourceError, "check the user in [source] dsn or PGUSER"),
    Rule(r'database ".*" does not exist', SourceError, "check the database in [source] dsn or PGDATABASE"),
    Rule(r"permission denied for database", SourceError, 'grant connect on database "{dbname}" to "{user}"'),
    Rule(
        r"SSL SYSCALL|SSL connection has been closed|server closed the connection|[Cc]onnection reset|"
        r"Broken pipe|timeout expired|timed out|terminating connection|could not receive data|"
        r"no connection to the server|"
        r"connection is closed|connection (was )?lost|lost synchronization",
        SourceUnavailable,
        "",
    ),
    Rule(
        r"SSL|certificate|root\.crt|GSSAPI",
        SourceError,
        "check sslmode, sslrootcert and sslcert in [source] dsn or PGSSLMODE …",
    ),
    Rule(
        r"translate host name|resolve host|Name or service not known",
        SourceUnavailable,
        "check the host in [source] dsn or PGHOST",
    ),
    Rule(
        r"refused|No such file or directory|[Nn]etwork is unreachable|No route to host",
        SourceUnavailable,
        "check that PostgreSQL runs there: host and port in [source] dsn, listen_addresses on the server",
    ),
    Rule(
        r"configuration parameter|invalid value for parameter|permission denied to set parameter|"
        r"invalid command-line",
        SourceError,
        "check `options` in [source] dsn or PGOPTIONS",
    ),
    Rule(
        r"unsupported startup parameter|pgbouncer",
        SourceError,
        "connect to PostgreSQL itself, not to a connection pool",
    ),
    Rule(
        r"session is (not )?read-only|server is (not )?in hot standby",
        SourceUnavailable,
        "target_session_attrs asks for it",
    ),
    Rule("", SourceUnavailable, ""),
)

RETRIABLE_CLASSES = (
    "08",
    "53",
    "57P",
    "40",
    "58030",
)  # connection, resources, operator intervention, rollback, IO
RETRIABLE_STATES = ("55P03", "55006", "25006")  # lock timeout, object in use, a standby not (yet) promoted
HINTS = {
    "57014": "it was cancelled: look for statement_timeout of the role or database, or for who cancelled it",
    "53100": "the disk of the PostgreSQL server is full",
}


LOST_HINT = "changes are missing: `cdc drop`, then `cdc run` makes a new slot and copies the tables again"
STREAM_RULES: tuple[tuple[str, str, type[SourceError], str], ...] = (
    ("42704", "replication slot", SlotLost, LOST_HINT),
    ("55000", "invalidated|no longer|conflict", SlotLost, LOST_HINT),
    ("58P01", "WAL segment", SlotLost, LOST_HINT),
    (
        "58P01",
        "could not access file",
        SourceError,
        "install the output plugin on the server, or set [source] plugin",
    ),
    ("55000", "wal_level", SourceError, "`alter system set wal_level = logical` and restart PostgreSQL"),
)


def explain_connection(error: psycopg.Error, *, where: str, user: str = "", dbname: str = "") -> SourceError:
    """Why there is no connection, or no longer one."""
    text = _first_words(str(error))
    rule = next(rule for rule in CONNECTION_RULES if re.search(rule.pattern, text))
    hint = rule.hint.replace("{user}", user).replace("{dbname}", dbname)
    return rule.error("cannot connect to PostgreSQL", why=text, hint=hint, where=where)


def explain(error: psycopg.Error, what: str, *, where: str) -> SourceError:
    """Why a statement failed; `what` says what was attempted."""
    state = error.sqlstate
    if state is None:
        told = explain_connection(error, where=where)
        return type(told)(what, why=told.why, hint=told.hint, where=where)
    retriable = state.startswith(RETRIABLE_CLASSES) or state in RETRIABLE_STATES
    why = error.diag.message_primary or str(error)
    hint = HINTS.get(state) or error.diag.message_hint or ""
    return (SourceUnavailable if retriable else SourceError)(what, why=why, hint=hint, where=where)


def place(connection: psycopg.Connection[Any]) -> str:
    """`host:port/database` of a connection, for messages."""
    try:
        info = connection.info
        return f"{info.host}:{info.port}/{info.dbname}"
    except psycopg.OperationalError:  # it is closed
        return ""


def explain_stream(error: psycopg.Error, settings: SourceSettings, *, where: str) -> SourceError:
    """Why START_REPLICATION failed, or the stream after it."""
    what = f"cannot stream from replication slot {settings.slot!r}"
    text = ": ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
    for state, pattern, kind, hint in STREAM_RULES:
        if error.sqlstate and error.sqlstate.startswith(state) and re.search(pattern, text):
            return kind(what, why=text, hint=hint, where=where)
    if error.sqlstate == "42704":
        return missing_publication(settings, why=text, where=where)
    if error.sqlstate is None:
        return SourceUnavailable("the stream broke off", why=_first_words(str(error)), where=where)
    return explain(error, what, where=where)


def missing_publication(settings: SourceSettings, *, why: str, where: str) -> SourceError:
    """Changes are decoded with the publications of the time when they were written."""
    return SlotLost(
        f"publication {settings.publication!r} is missing where the stream stands",
        why=why,
        hint="it was made after these changes, or dropped; what was written without it cannot be decoded. "
        + LOST_HINT,
        where=where,
    )


@contextmanager
def explained(what: str, *, where: str) -> Iterator[None]:
    """Turns psycopg's errors of a block into ours."""
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, what, where=where) from error


def _first_words(text: str) -> str:
    """libpq's message without its advice, which is ours to give, and on one line."""
    text = text.replace("connection failed: ", "").split("Multiple connection attempts failed")[0]
    lines = [line.strip() for line in text.splitlines() if not line.startswith("\t")]
    return re.sub(r"connection to server at .*? failed: ", "", "; ".join(lines).strip("; ")).replace(
        "FATAL:  ", ""
    )
