"""What `harness doctor` looks at on this machine: Python, programs, terminal, state folder, permissions.

Invariant: changes nothing but a file of its own in the state folder, which is gone afterwards.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness import __version__
from harness.commands.doctor_findings import Finding
from harness.config import config_dir
from harness.errors import HarnessError, remedy
from harness.seam import Seam

LEAST_FREE = 100
"""MB below which a state folder is as good as full."""

MOUNTS = Path("/proc/self/mounts")
"""Where Linux tells what is mounted; other systems have no such file."""

SMALLEST = (60, 12)
"""Columns and lines below which panels do not fit a screen."""

_OVER_A_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|9p|afs|ceph|glusterfs|lustre|beegfs|gpfs|vboxsf|fuse\.(sshfs|rclone|s3fs|glusterfs|davfs)"
)
_WAIT = 10


def python(seam: Seam) -> Finding:
    """The interpreter; an older one does not come this far."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("ok", "python", f"{version} on {seam.os_name()}, harness {__version__}")


def ripgrep(path: str | None) -> Finding:
    """Found, at this path, and it runs."""
    if path is None:
        return Finding("bad", "ripgrep", "not found; grep and glob need it", "install ripgrep (rg)")
    version = _first_line([path, "--version"])
    if version is None:
        return Finding("bad", "ripgrep", f"{path} does not run", "install ripgrep (rg) for this machine")
    return Finding("ok", "ripgrep", f"{version}, {path}")


def git(environment: Mapping[str, str]) -> Finding:
    """Found, and it runs; only the demo and a repository's users need it."""
    path = shutil.which("git", path=environment.get("PATH", ""))
    version = _first_line([path, "--version"]) if path else None
    if version is None:
        return Finding("note", "git", "not found, or it does not run; the demo needs it", "install git")
    return Finding("ok", "git", f"{version.removeprefix('git version ')}, {path}")


def _first_line(command: list[str]) -> str | None:
    """What a program says of itself; None where it does not run."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_WAIT, check=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip()


def terminal(environment: Mapping[str, str]) -> Finding:
    """Size, encoding and kind. None at all is no fault: one-shot runs need none."""
    streams = (sys.stdin, sys.stdout)
    if not all(stream is not None and stream.isatty() for stream in streams):
        return Finding("note", "terminal", "none here", 'only one-shot runs work without: harness -p "task"')
    kind, encoding = environment.get("TERM", ""), (sys.stdout.encoding or "unknown").lower()
    size = shutil.get_terminal_size()
    text = f"{kind or 'TERM is not set'}, {size.columns}x{size.lines}, {encoding}"
    if kind in ("", "dumb", "unknown"):
        return Finding("bad", "terminal", text, "set TERM to what your terminal is, e.g. xterm-256color")
    if encoding.replace("-", "") != "utf8":
        return Finding("bad", "terminal", text, "set a UTF-8 locale, e.g. LC_ALL=C.UTF-8")
    if size.columns < SMALLEST[0] or size.lines < SMALLEST[1]:
        return Finding("note", "terminal", text, f"make it at least {SMALLEST[0]}x{SMALLEST[1]}")
    return Finding("ok", "terminal", text)


# ------------------------------------------------------------------------------------------------- state folder


def state(folder: Path, mounts: Path = MOUNTS, least: int = LEAST_FREE) -> Iterator[Finding]:
    """Writable, durable, roomy, on a disk of this machine.

    Args:
        mounts: where the kernel tells what is mounted.
        least: MB that must be free.
    """
    what = "state folder"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        locks = _try_out(folder)
        free = shutil.disk_usage(folder).free // (1024 * 1024)
    except OSError as error:
        text = f"{folder} cannot be written: {error.strerror}"
        yield Finding("bad", what, text, remedy(error, "XDG_STATE_HOME"))
        return
    if not locks:
        text = f"{folder}: file locks do not work there"
        yield Finding("bad", what, text, "set XDG_STATE_HOME to a folder on a disk of this machine")
    elif free < least:
        yield Finding("bad", what, f"{folder}: {free:,} MB free", "free space, or set XDG_STATE_HOME to another disk")
    elif network := _network(folder, mounts):
        text = f"{folder} is on a network ({network}): slower, and less sure after a crash"
        yield Finding("note", what, text, "set XDG_STATE_HOME to a folder on a disk of this machine")
    else:
        yield Finding("ok", what, f"{folder}: writable, fsync and locks work, {free:,} MB free")


def _try_out(folder: Path) -> bool:
    """Write and sync as a session does; whether locks work. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _network(folder: Path, mounts: Path) -> str:
    """The network file system that a folder is on; "" where it is on none, or nobody can say."""
    try:
        told = mounts.read_text("utf-8", "replace")
    except OSError:
        return ""
    kind = file_system(folder, told)
    return kind if _OVER_A_NETWORK.fullmatch(kind) else ""


def file_system(folder: Path, mounts: str) -> str:
    """The kind of file system of a folder, by the text of /proc/self/mounts."""
    best, kind = -1, ""
    real = folder.resolve()
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        # a later mount hides an earlier one at the same place
        if real.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), fields[2]
    return kind


def session_locks(folder: Path, seam: Seam) -> Finding:
    """Sessions in use, and any that is held though the process which opened it is gone.

    The kernel lets go of a lock with the last process that holds its file: usually the owner. Where a child of it
    lives on with the file, the session stays busy, and nobody sees why.
    """
    used, stuck = [], []
    try:
        locks = sorted(folder.glob("*/lock"))
    except OSError:
        locks = []
    for lock in locks:
        owner, running = _owner(lock, seam)
        if running:
            used.append(lock.parent.name)
        elif owner and _held(lock):
            stuck.append(f"{lock.parent.name} (process {owner})")
    if stuck:
        text = f"held, but the process that opened it is gone: {', '.join(stuck[:3])}"
        return Finding("bad", "sessions", text, f"end what it left behind: fuser {folder}/*/lock shows it")
    ended = f"{len(locks)} kept"
    return Finding("ok", "sessions", f"{ended}, in use: {', '.join(used[:3])}" if used else f"{ended}, none in use")


def _owner(lock: Path, seam: Seam) -> tuple[str, bool]:
    """The pid that a lock names, and whether it holds the lock now; ("", False) where it is another machine's."""
    try:
        pid, _, host = lock.read_text("utf-8", "replace").strip().partition(" on ")
    except OSError:
        return "", False
    if not pid.isdecimal() or host != seam.host():
        return "", False
    # a number may be another process's by now: the lock decides
    return pid, _exists(int(pid)) and _held(lock)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _held(lock: Path) -> bool:
    """Whether a lock is held; asked by taking it, shared and for an instant."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


# -------------------------------------------------------------------------------------------------- permissions


def permissions(environment: Mapping[str, str]) -> Finding:
    """Nobody else may write the settings: they say where requests go, and which command yields the key."""
    what = "settings folder"
    try:
        folder = config_dir(environment)
    except HarnessError as error:
        return Finding("bad", what, str(error))
    if not folder.exists():
        return Finding("ok", what, f"{folder}: not there, nothing is set")
    for path in (folder, folder / "config.toml", folder / "catalog.toml", folder / "USER.md"):
        try:
            about = path.stat()
        except OSError:
            continue
        if about.st_uid not in (0, os.geteuid()):
            return Finding("bad", what, f"{path} belongs to another user", f"make it yours: chown $(id -u) {path}")
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return Finding("bad", what, f"{path} can be changed by others", f"chmod go-w {path}")
    for path in (folder / "config.toml", folder / "catalog.toml"):
        if _open_with_headers(path):
            text = f"{path} sets headers, which may be secret, and others can read it"
            return Finding("note", what, text, f"chmod 600 {path}")
    return Finding("ok", what, f"{folder}: only you can change it")


def _open_with_headers(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077) and "headers" in path.read_text("utf-8", "replace")
    except OSError:
        return False
