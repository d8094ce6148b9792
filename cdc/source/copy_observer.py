"""Who is told how the copies of tables go."""

from __future__ import annotations

from cdc.lsn import Lsn


class CopyObserver:
    """Is told how a copy goes; override what matters."""

    def copy_started(self, table: str, estimate: int | None) -> None: ...
    def copy_moved(self, table: str, rows: int) -> None: ...
    def copy_finished(self, table: str, until: Lsn) -> None: ...
    def table_refused(self, table: str, reason: str, mend: str) -> None: ...
