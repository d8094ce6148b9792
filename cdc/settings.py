"""The base of every settings struct, apart from `config.py` so that pure modules can declare settings of their own."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Base of every table of the file: unknown keys are errors."""
