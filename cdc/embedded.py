"""A private PostgreSQL server for a demo or a test: one folder, one port of 127.0.0.1, gone when closed.

The programs are run directly and not through the wheel's own API, which keeps registries and lock files,
makes a system user and opens up folders when it is root, and listens on a Unix socket only. What can go wrong
around a child process is met here once:

- Ctrl-C reaches every process of the terminal: the server has a session of its own, so it outlives us.
- We may be killed outright: a guard waits on a pipe that ends with us, then stops the server and tidies up.
- A free port may be taken before the server has it: another one is tried.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, Unpack
from urllib.parse import quote

from cdc import programs
from cdc.errors import CdcError

HOST, SUPERUSER = "127.0.0.1", "postgres"
SETTINGS = {
    "wal_level": "logical",
    "max_wal_senders": "40",
    "max_replication_slots": "40",
    "max_connections": "200",
    "fsync": "off",  # nothing here has to outlive a crash of the machine
    "full_page_writes": "off",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_directories": "",  # a socket's path has a length limit that temporary folders exceed
}
STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
START_TIMEOUT = 60.0
GUARD = """read _; kill -QUIT "$1"; [ -z "$2" ] || { while kill -0 "$1"; do sleep 0.1; done; rm -rf "$2"; }"""


class EmbeddedPostgres:
    """One server, as a context manager: entered, it accepts connections; left, it is stopped.

    `folder` holds everything (data, log, password), is kept, and is started again if it holds a cluster;
    without one, a temporary folder is used and removed. `version` is a major version of the wheel (default:
    its newest); `bindir` names other programs instead. `settings` go to a file that `ALTER SYSTEM` overrides.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        version: int | None = None,
        bindir: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.bindir = bindir or programs.embedded_bindir(version)
        self.version = programs.major_version(self.bindir)
        self.settings = {**SETTINGS, **(settings or {})}
        self.port = 0  # chosen by the first start, and the same over stop and start
        self.temporary = folder is None
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Make the cluster if there is none, start the server and return when it accepts connections."""
        if self._folder is None or not self.port:
            self._folder = (self._folder or Path(tempfile.mkdtemp(prefix="cdc-postgres-"))).resolve()
            self.bindir = programs.prepare(self._folder, self.bindir)
        if not (self.datadir / "PG_VERSION").exists():
            self._initdb()
        lines = [f"{name} = '{_doubled(value)}'\n" for name, value in self.settings.items()]
        (self.datadir / "cdc.conf").write_text("".join(lines))
        chosen = self.port
        for _ in range(5):
            self.port = chosen or _free_port()
            if self._launch():
                return
        raise CdcError("the embedded PostgreSQL found its port in use", where=f"{HOST}:{self.port}")

    def stop(self, mode: Literal["fast", "immediate"] = "fast", timeout: float = 10) -> None:
        """Stop the server and wait for its end; `immediate` is a crash, and the next start recovers from WAL.

        A fast stop lets walsenders finish, which a client that does not read can hold up; after `timeout` it
        becomes immediate.
        """
        if self._guard:  # before the server: afterwards its process id may be somebody else's
            self._guard.kill()
            self._guard.communicate()
        if self._process:
            for number in (STOP_SIGNALS[mode], signal.SIGQUIT, signal.SIGKILL):
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(timeout)
                    break
        self._process = self._guard = None

    def close(self) -> None:
        """Stop, and remove what was temporary. May be repeated."""
        self.stop("immediate" if self.temporary else "fast")  # what is thrown away needs no checkpoint
        if self.temporary and self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def folder(self) -> Path:
        """Where everything is; known from the first start."""
        if self._folder is None:
            raise CdcError("the embedded PostgreSQL has not been started")
        return self._folder

    @property
    def datadir(self) -> Path:
        """The cluster itself, PostgreSQL's data_directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "server.log"

    @property
    def password(self) -> str:
        """The superuser's. There is one because other users of this machine can reach the port too."""
        return (self.folder / "password").read_text()

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster, None while stopped."""
        return self._process.pid if self._process else None

    def dsn(self, dbname: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A URL for libpq, psycopg and PostgreSQL's programs; the superuser's unless told otherwise."""
        secret = self.password if password is None else password
        return f"postgresql://{quote(user, '')}:{quote(secret, '')}@{HOST}:{self.port}/{quote(dbname, '')}"

    def bin(self, name: str) -> str:
        """Path of one of PostgreSQL's programs, such as pgbench or pg_recvlogical."""
        path = self.bindir / name
        if not path.exists():
            raise CdcError(f"this PostgreSQL {self.version} comes without {name}", where=str(self.bindir))
        return str(path)

    def _initdb(self) -> None:
        password = self.folder / "password"
        password.touch(0o600)
        password.write_text(secrets.token_urlsafe(12))
        programs.give_away(password)
        command = [self.bin("initdb"), "-D", str(self.datadir), "-U", SUPERUSER, "--pwfile", str(password)]
        command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"]
        if (
            self.version >= 16
        ):  # nobody guesses this password, so what makes that slow would only slow each connection
            command += ["--set", "scram_iterations=1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **programs.identity())
        if done.returncode:
            raise CdcError("initdb failed", why=done.stderr.strip()[-500:], where=str(self.datadir))
        with (self.datadir / "postgresql.conf").open("a") as conf:
            conf.write("include 'cdc.conf'\n")

    def _launch(self) -> bool:
        """Start the server and wait until it is ready; False if its port was taken."""
        command = [self.bin("postgres"), "-D", str(self.datadir), "-h", HOST, "-p", str(self.port)]
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = _spawn(command, subprocess.DEVNULL, log.fileno(), **programs.identity())
        deadline = time.monotonic() + START_TIMEOUT
        while not self._ready():
            if self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            told = self.log.read_bytes()[begin:].decode(errors="replace")
            self.stop("immediate")
            if "Address already in use" in told:
                return False
            raise CdcError(
                "the embedded PostgreSQL did not start", why=told.strip()[-500:], where=str(self.log)
            )
        temporary = str(self.folder) if self.temporary else ""
        guard = ["/bin/sh", "-c", GUARD, "cdc-postgres-guard", str(self.pid), temporary]
        self._guard = _spawn(guard, subprocess.PIPE, subprocess.DEVNULL)
        return True

    def _ready(self) -> bool:
        """As pg_ctl does it: by the last line of postmaster.pid, which may be an earlier server's still."""
        try:
            lines = (self.datadir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


def _spawn(
    command: list[str], stdin: int, output: int, **identity: Unpack[programs.Identity]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=stdin, stdout=output, stderr=output, start_new_session=True, **identity
    )


def _doubled(value: str) -> str:
    return value.replace("'", "''")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
