"""`python -m cdc` is the `cdc` program."""

from __future__ import annotations

from cdc.cli import main

main()
