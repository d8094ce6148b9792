"""A check: one precondition, whether it holds, and what mends it. `cdc check` prints a list of them."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "warn", "fail"]


class Check(msgspec.Struct, frozen=True):
    """`warn` is worth knowing, `fail` stops a run or loses something.

    `detail` says what was found. `fix` is empty, or the exact statements, command or setting that mend it.
    """

    name: str
    state: State
    detail: str
    fix: str = ""
