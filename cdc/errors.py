"""Every error that a user can meet, as one small family.

An error says what was attempted, where, why it failed and what to do next; it carries table names and LSNs, never row
values or secrets. Two attributes steer the program: `retriable` (the daemon backs off and tries again) and `exit_code`
(what a command ends with). Borders with libraries classify once, `raise … from` the cause, and nobody above guesses.
"""

from __future__ import annotations

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_DIFFERENT, EXIT_TRY_AGAIN = 0, 1, 2, 3, 75


class CdcError(Exception):
    """A failure told to a person: `what` went wrong, `why`, and `hint`, what to do next."""

    exit_code = EXIT_FAILED
    retriable = False

    def __init__(self, what: str, *, why: str = "", hint: str = "", where: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.why:
            text += f": {self.why}"
        if self.hint:
            text += f" ({self.hint})"
        return text


class ConfigError(CdcError):
    """The configuration, or a command's arguments, cannot be used as they are."""

    exit_code = EXIT_USAGE


class SourceError(CdcError):
    """PostgreSQL refuses, and trying again will not help."""


class SourceUnavailable(SourceError):
    """PostgreSQL cannot be reached now, or holds the slot for somebody else; later it may."""

    retriable = True
    exit_code = EXIT_TRY_AGAIN


class SlotInUse(SourceUnavailable):
    """Somebody else streams from the slot."""


class SlotLost(SourceError):
    """The slot is gone, invalidated or not the one that the stored positions belong to: changes are missing."""


class SlotAhead(SlotLost):
    """The slot was confirmed further than a warehouse has got: that one lacks what is between."""


class DecodeError(CdcError):
    """Bytes of the replication stream are not what the protocol says."""


class TargetError(CdcError):
    """A warehouse refuses, and trying again will not help."""


class TargetUnavailable(TargetError):
    """A warehouse cannot be reached or is busy now; later it may answer."""

    retriable = True
    exit_code = EXIT_TRY_AGAIN


class Overtaken(TargetUnavailable):
    """Another applier has committed where this one was about to: what it had applied is taken back."""


class TransportError(CdcError):
    """Kafka refuses, and trying again will not help; or what is on its topics cannot be used."""


class TransportUnavailable(TransportError):
    """Kafka cannot be reached or is busy now; later it may answer."""

    retriable = True
    exit_code = EXIT_TRY_AGAIN


class ValueRefused(TargetError):
    """A value that the target's column cannot hold unaltered; `rule` names the setting that decides."""

    def __init__(self, what: str, *, rule: str = "", why: str = "", hint: str = "", where: str = "") -> None:
        super().__init__(what, why=why, hint=hint, where=where)
        self.rule = rule


class ColumnRefused(TargetError):
    """A column of the target that cannot become what the source's is now, unless values are altered; `column` is its name."""

    def __init__(self, what: str, *, column: str, why: str = "", hint: str = "", where: str = "") -> None:
        super().__init__(what, why=why, hint=hint, where=where)
        self.column = column


class Incomparable(CdcError):
    """A table of which a warehouse does not keep the rows, so that there is nothing to compare. No difference."""


class Stopped(CdcError):
    """A clean end was asked for while work was waiting; raised to unwind, never shown."""

    exit_code = EXIT_OK
