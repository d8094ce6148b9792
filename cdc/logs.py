"""Logging: one line per event on standard error, for eyes on a terminal and as JSON for machines.

What libraries log through the standard library goes the same way. Events carry names, counts and LSNs;
values that look like passwords are hidden here, once for all.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import Processor

from cdc.config import LogSettings
from cdc.secret import without_secrets


def configure(settings: LogSettings) -> None:
    """Set up structlog and the standard library's logging for this process. May be called again."""
    readable = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    level = _number(settings.level)
    modules = {name: _number(each) for name, each in settings.modules.items()}
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if readable else "iso", utc=not readable),
        _hide,
    ]
    last: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if readable:
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)]
    structlog.configure(
        processors=[*([_Modules(level, modules)] if modules else []), *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(min([level, *modules.values()])),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(_Stderr())
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    for name, each in modules.items():
        logging.getLogger(name).setLevel(each)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


class _Modules:
    """Drops what is below the level of the module that says it: that of the longest name which the module's begins with."""

    def __init__(self, default: int, levels: dict[str, int]) -> None:
        self._default = default
        self._levels = levels

    def __call__(
        self, _logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        if _number("error" if method == "exception" else method) < self._level(_caller()):
            raise structlog.DropEvent
        return event

    def _level(self, module: str) -> int:
        known = [name for name in self._levels if module == name or module.startswith(f"{name}.")]
        return self._levels[max(known, key=len)] if known else self._default


def _caller() -> str:
    """The module that logs: the first one on the stack that is not the logging itself."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        (__name__, "structlog")
    ):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


class _Stderr:
    """Whatever standard error is at the moment: a live display takes its place while it is on the screen."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _hide(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = without_secrets(value, key)
    return event
