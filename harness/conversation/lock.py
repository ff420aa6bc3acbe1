"""Who owns a session: one process, for as long as it lives.

Invariant: of two processes that want a session at the same moment exactly one gets it; the kernel lets go of the lock
when its process dies, however it dies, so nothing that a dead process left ever blocks. Only a record of another
machine, where this kernel's locks may mean nothing, is left to a person to judge.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import JournalBusy, JournalError, OwnedElsewhere
from harness.seam import Seam

_SIZE = 512
"""Bytes of the file, always: writing over them needs no room, on a full disk either."""

_STEP = 0.005
_UNSAID = 0.05
"""Seconds in which a process that has just got the lock says who it is."""

_DYING = 2.0
"""Seconds for the last child of a dead process to let go: one that was being started inherited the lock until then."""

_OLD = re.compile(r"(\d+) on (\S+)")
"""How the first version wrote its owner."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process. `boot`: which start of which kernel; `started`: tells it from a later one of its number."""

    pid: int
    host: str
    boot: str = ""
    started: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lock:
    """A session's lock, held from `take` to `release`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @property
    def held(self) -> bool:
        """Whether it still is."""
        return self._handle >= 0

    @classmethod
    def take(cls, folder: Path, seam: Seam, *, from_elsewhere: bool = False) -> Lock:
        """Own the session in a folder.

        Args:
            from_elsewhere: a person said that an owner on another machine is gone.

        Raises:
            JournalBusy: another process owns it; with its number.
            OwnedElsewhere: a process on another machine did not let go of it.
            OSError: the file system refused.
        """
        here = Owner(seam.pid(), seam.host(), seam.boot(), seam.process(seam.pid()))
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _acquire(handle, folder, here, seam)
            if not from_elsewhere:
                _refuse_elsewhere(_read(handle), folder, here)
            _write(handle, json.dumps(asdict(here)))
        except BaseException:
            os.close(handle)
            raise
        return cls(handle)

    def release(self) -> None:
        """Let go; the record goes too, so that another machine need not ask."""
        if self._handle >= 0:
            try:
                _write(self._handle, "")
            finally:
                os.close(self._handle)
                self._handle = -1


def in_use(folder: Path, seam: Seam) -> bool:
    """Whether another process owns the session in a folder, or one on another machine did not let go of it.

    Raises:
        OSError: the file system refused.
    """
    here = Owner(seam.pid(), seam.host(), seam.boot(), seam.process(seam.pid()))
    try:
        handle = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(handle) != here
    else:
        return (owner := _read(handle)) is not None and not _same_machine(owner, here)
    finally:
        os.close(handle)


def _acquire(handle: int, folder: Path, here: Owner, seam: Seam) -> None:
    waited = 0.0
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = _read(handle)
            if waited >= _patience(owner, here, seam):
                raise JournalBusy(_busy(folder, owner), folder.name) from error
            time.sleep(_STEP)
            waited += _STEP
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            raise JournalError(
                f"the file system of {folder} has no locks ({error.strerror}); set XDG_STATE_HOME to another folder"
            ) from error
        else:
            return


def _patience(owner: Owner | None, here: Owner, seam: Seam) -> float:
    """Seconds to wait for a lock that is held: none for a process that lives."""
    if owner is None:
        return _UNSAID
    if (owner.host, owner.boot) != (here.host, here.boot):
        return 0.0
    return 0.0 if seam.process(owner.pid) == owner.started else _DYING


def _refuse_elsewhere(owner: Owner | None, folder: Path, here: Owner) -> None:
    if owner is not None and not _same_machine(owner, here):
        raise OwnedElsewhere(_elsewhere(folder, owner), folder.name)


def _same_machine(owner: Owner, here: Owner) -> bool:
    """Whether this kernel's locks bind the owner: it runs on it (in a container, too), or did before a restart."""
    return owner.host == here.host or (owner.boot == here.boot != "")


def _busy(folder: Path, owner: Owner | None) -> str:
    who = f"{owner}" if owner else "another process"
    return (
        f"session {folder.name} is in use by {who}; end that one first, or go on in a copy: "
        f"harness -r {folder.name} --fork"
    )


def _elsewhere(folder: Path, owner: Owner) -> str:
    return (
        f"session {folder.name} was not let go of by {owner}, another machine, and may be in use there; if that one is "
        f"gone, remove {folder / 'lock'}, or go on in a copy: harness -r {folder.name} --fork"
    )


def _read(handle: int) -> Owner | None:
    """Who is recorded; None where nobody is."""
    text = os.pread(handle, 4096, 0).decode("utf-8", "replace").strip(" \n\0")
    if old := _OLD.fullmatch(text):
        return Owner(int(old[1]), old[2])
    try:
        value = json.loads(text)
        return Owner(int(value["pid"]), str(value["host"]), str(value["boot"]), str(value["started"]))
    except (KeyError, TypeError, ValueError):
        return None  # nobody, or one that is writing itself down


def _write(handle: int, text: str) -> None:
    raw = text.encode("ascii").ljust(_SIZE - 1) + b"\n"
    if os.pwrite(handle, raw, 0) != len(raw):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
