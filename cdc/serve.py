"""Starts and stops the daemon's HTTP server (`http_server.py`) with its answers (`http_app.py`)."""

from __future__ import annotations

import ipaddress
import socket
import threading
from types import TracebackType
from typing import Self

from cdc.ask import parse_address
from cdc.config import HttpSettings
from cdc.errors import CdcError, ConfigError
from cdc.http_app import App, Asked
from cdc.http_server import Server


class HttpServer:
    """Answers from entering to leaving the context. An empty `listen` answers nowhere.

    Raises ConfigError for an address beyond this machine, if no token is set and nobody said that it should be open.
    """

    def __init__(self, settings: HttpSettings, asked: Asked) -> None:
        self._settings = settings
        self.listen = settings.listen
        if self.listen:
            check_reach(settings)
        self._app = App(asked, settings)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """`host:port` in fact, if the port was left to the system."""
        if self._server is None:
            return ""
        host, port = self._server.bind_addr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def __enter__(self) -> Self:
        if not self.listen:
            return self
        address = parse_address(self.listen)
        server = Server(address, self._app, self._settings.tls_certificate, self._settings.tls_key)
        try:
            _try_address(*address)
            server.prepare()
        except OSError as error:
            raise CdcError(
                "the HTTP address cannot be used",
                where=f"[http] listen = {self.listen!r}",
                why=error.strerror or str(error),
                hint="is another cdc running? Set [http] listen (CDC_HTTP__LISTEN) to another, '' for none",
            ) from error
        self._server = server
        self._thread = threading.Thread(target=server.serve, name="http", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join(5)
            self._server = self._thread = None


def check_reach(settings: HttpSettings) -> None:
    """Raise ConfigError if whoever comes along could ask."""
    host, _ = parse_address(settings.listen)
    if settings.token or settings.open or _is_loopback(host):
        return
    raise ConfigError(
        "anybody on the network could ask the daemon",
        where=f"[http] listen = {settings.listen!r}",
        why="it is beyond this machine, and no token is set",
        hint="set [http] token (CDC_HTTP__TOKEN), or open = true if the network is as private as it should be",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _try_address(host: str, port: int) -> None:
    """Raise as binding does: cheroot, when it fails, leaves its socket open and its reason in a string."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
