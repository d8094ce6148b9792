"""What PostgreSQL and libpq report of the target, classified once: what may pass, what a person must mend, and what a row
is refused for.

The messages of class 22 quote values, and those of class 23 quote them in their details: neither is passed on or chained.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import psycopg

from cdc.errors import CdcError, TargetError, TargetUnavailable, ValueRefused


class Rule(NamedTuple):
    """An SQLSTATE by its beginning: the error and what a person does. An empty `why`: PostgreSQL's own words."""

    state: str
    kind: type[TargetError]
    why: str = ""
    hint: str = ""


# The first that fits.
RULES = (
    Rule("23502", ValueRefused, "", "let the target's column take NULL, as the source's does"),
    Rule("23503", ValueRefused, "", 'make the foreign key deferrable, drop it, or set triggers = "skip"'),
    Rule("23505", ValueRefused, "", "drop the target's unique index, or make the constraint deferrable"),
    Rule("23", ValueRefused, "", "drop the target's constraint, or mend the rows in the source"),
    Rule(
        "22021", ValueRefused, "text is not UTF-8", "mend those rows in the source, or leave the column out"
    ),
    Rule(
        "22P05", ValueRefused, "a character has no place in the target's encoding", "use a database in UTF8"
    ),
    Rule("22", ValueRefused, "PostgreSQL refused a value"),
    Rule("42501", TargetError, "", "grant the role what it needs: see docs/connectors.md"),
    Rule(
        "25006",
        TargetError,
        "",
        "it is a standby, or default_transaction_read_only is set: write to the primary",
    ),
    Rule("53100", TargetError, "the disk of the PostgreSQL server is full", "free some and start again"),
    Rule(
        "55P03",
        TargetUnavailable,
        "somebody holds a lock on the table",
        "see pg_locks; lock_timeout says how long to wait",
    ),
    Rule("57014", TargetUnavailable, "", "look for statement_timeout, or for who cancelled it"),
    Rule("55006", TargetUnavailable),
    Rule("08", TargetUnavailable),
    Rule("40", TargetUnavailable),
    Rule("53", TargetUnavailable),
    Rule("57P", TargetUnavailable),
    Rule("58030", TargetUnavailable),
)
FINAL = (  # of failed connections, by words
    (r"password|authentication|does not have a valid SCRAM", "check user and password: dsn, PGUSER, PGPASSWORD or ~/.pgpass"),
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects", "add a line to pg_hba.conf on the server, then `select pg_reload_conf()`"),
    (r'role ".*" is not permitted to log in', "alter role … login"),
    (r'role ".*" does not exist', "check the user in dsn or PGUSER"),
    (r'database ".*" does not exist', "create it, or check dsn and PGDATABASE"),
    (r"permission denied for database", "grant connect on the database to the role"),
    (r"certificate|root\.crt|sslmode|does not support SSL", "check sslmode, sslrootcert and sslcert in dsn"),
)  # fmt: skip


def explain_connection(error: psycopg.Error, *, where: str) -> TargetError:
    """Why there is no connection. What is not known to be final may pass."""
    text = _words(error)
    for pattern, hint in FINAL:
        if re.search(pattern, text):
            return TargetError("cannot connect to PostgreSQL", why=text, where=where, hint=hint)
    return TargetUnavailable(
        "cannot connect to PostgreSQL",
        why=text,
        where=where,
        hint="check that it runs there: host and port in dsn, listen_addresses on the server",
    )


def classify(error: psycopg.Error, *, what: str, where: str) -> CdcError:
    """The error for a person, for whatever psycopg raised."""
    state = error.sqlstate
    if state is None:
        return TargetUnavailable(what, why=_words(error), where=where)
    why = error.diag.message_primary or _words(error)
    rule = next((rule for rule in RULES if state.startswith(rule.state)), None)
    if rule is None:
        return TargetError(what, why=why, where=where, hint=error.diag.message_hint or "")
    if issubclass(rule.kind, ValueRefused):
        return ValueRefused(
            what,
            rule="constraints" if state.startswith("23") else "types",
            why=rule.why or why,
            where=where,
            hint=rule.hint,
        )
    return rule.kind(what, why=rule.why or why, where=where, hint=rule.hint)


def is_about_a_value(error: psycopg.Error) -> bool:
    """Whether a text could not be read as a value of its column's type, or not be kept in it."""
    return (error.sqlstate or "").startswith("22")


def is_about_a_row(error: psycopg.Error) -> bool:
    """Whether the message or its details may quote values."""
    return (error.sqlstate or "").startswith(("22", "23"))


def cause(error: psycopg.Error) -> psycopg.Error | None:
    """What may be chained."""
    return None if is_about_a_row(error) else error


def _words(error: psycopg.Error) -> str:
    """libpq's message on one line, without where it connected to, which is told already."""
    text = str(error).replace("connection failed: ", "").split("Multiple connection attempts failed")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("\t")]
    return re.sub(r"connection to server at .*? failed: ", "", "; ".join(lines)).replace("FATAL:  ", "")
