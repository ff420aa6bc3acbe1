"""A session as a folder that can be carried elsewhere: journal, the blobs that it names, its sub-agents' likewise.

Invariant: a prefix of whole records, also of a session that another process writes to; private; no link is followed,
nothing but regular files is read, and nothing else of the session's folder comes along.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.conversation.births import BIRTH, unborn
from harness.conversation.canonical import Json, digest
from harness.conversation.lines import Reader
from harness.conversation.private_files import private, sync_path
from harness.errors import JournalError, UsageError
from harness.sessions import archive
from harness.workspace import files
from harness.workspace.credentials import Credentials
from harness.workspace.scratch import scratch

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Of a folder that holds a session."""
_BLOB = re.compile(r"[0-9a-f]{64}")
_DEEPEST = 3
"""Sub-agents call each other that deep at most."""


@dataclass(slots=True)
class Copied:
    """What was copied. sub_agents: how many. damaged: places and blobs that were so before.

    folders: that the session worked in, as it names them. secrets: the records that hold what looks like a credential,
    by the path of their session within the copy ("" for itself).
    """

    records: int = 0
    sub_agents: int = 0
    damaged: int = 0
    folders: list[str] = field(default_factory=list)
    secrets: dict[str, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Room:
    """What one copy may take: bytes and files; None: all there is."""

    bytes: int | None = None
    files: int | None = None

    def take(self, size: int) -> None:
        """Count a file in.

        Raises:
            JournalError: it is more than fits.
        """
        self.bytes = None if self.bytes is None else self.bytes - size
        self.files = None if self.files is None else self.files - 1
        if (self.bytes or 0) < 0 or (self.files or 0) < 0:
            raise JournalError("the session is larger than what is taken in; copy its folder by hand if you trust it")


def export(folder: Path, path: Path, credentials: Credentials) -> Copied:
    """Copy a session to a new folder, or into a new archive where the name ends in .tar.gz; folders above it are made.

    Raises:
        UsageError: something of that name is there, or it cannot be written.
        JournalError: the session cannot be read.
    """
    if os.path.lexists(path):
        raise _exists(path)
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
        with scratch(path.parent, ".harness-", ".part") as temporary:
            made = temporary / folder.name
            copied = copy(folder, made, credentials, Room())
            if archive.named_so(path):
                packed = temporary / "packed"
                archive.pack(made, packed)
                made = packed
            place(made, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {files.reason(error)}") from error
    return copied


def copy(source: Path, to: Path, credentials: Credentials, room: Room) -> Copied:
    """Copy a session to a folder that is not there yet.

    Raises:
        JournalError: it cannot be read, is larger than the room, or holds what is no file of a session.
        OSError: the copy cannot be written.
    """
    copied = Copied()
    _copy(source, to, to, copied, credentials, room)
    return copied


def place(made: Path, path: Path) -> None:
    """Give what was made its name: at once, and only where nothing is.

    Raises:
        OSError: FileExistsError among them.
    """
    whole = made.is_dir()
    if whole:
        path.mkdir(mode=0o700)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        made.replace(path)
        sync_path(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            path.rmdir() if whole else path.unlink()
        raise


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists; choose another name or remove it")


def _copy(
    source: Path,
    to: Path,
    top: Path,
    copied: Copied,
    credentials: Credentials,
    room: Room,
    above: Sequence[Mapping[str, Json]] = (),
) -> bool:
    """Whether there was anything to copy: nothing of a sub-agent that was never born is its own.

    Args:
        above: the births in its caller's journal.
    """
    _check_folder(source)
    to.mkdir(mode=0o700)
    journal = to / "journal.jsonl"
    if not os.path.lexists(source / journal.name):
        raise JournalError(f"{source} holds no journal.jsonl: name a session's folder")
    with _opened(source / journal.name, room) as file:
        _write(journal, files.chunks(file, file.status.st_size))
    reader = Reader(journal)
    secrets: dict[int, None] = {}
    named: dict[str, int] = {}
    births: list[Mapping[str, Json]] = []
    folders: list[str] = []
    records = 0
    for record in reader:
        births += [record.data] if record.kind == BIRTH else []
        records += 1
        if record.kind == "session":
            folders += [str(record.data.get(name, "")) for name in ("root", "cwd")]
        for text in _texts(record.data):
            if _BLOB.fullmatch(text):
                named.setdefault(text, record.seq)
            elif credentials.in_text(text):
                secrets[record.seq] = None
    if to != top and unborn(source, above):
        return False
    if not reader.end:
        raise JournalError(f"nothing in the journal of {source} is a record of a session")
    os.truncate(journal, reader.end)  # its owner is writing, or a crash left it
    copied.records, copied.damaged = copied.records + records, copied.damaged + len(reader.damage)
    copied.folders += folders
    for name, seq in named.items():
        if (raw := _blob(source / "blobs", name, room, copied)) is not None:
            target = to / "blobs" / name[:2]
            for kept in (target.parent, target):  # `parents` would give others a look
                kept.mkdir(mode=0o700, exist_ok=True)
            _write(target / name, [raw])
            if credentials.in_text(raw.decode("utf-8", "replace")):
                secrets[seq] = None
    if secrets:
        copied.secrets[str(to.relative_to(top)) if to != top else ""] = sorted(secrets)
    copied.sub_agents += to != top
    _sub_agents(source, to, top, copied, credentials, room, births)
    for path in (*to.glob("blobs/??"), to / "blobs", to):
        if path.is_dir():
            sync_path(path)
    return True


def _sub_agents(
    source: Path,
    to: Path,
    top: Path,
    copied: Copied,
    credentials: Credentials,
    room: Room,
    above: Sequence[Mapping[str, Json]],
) -> None:
    """After their caller: those that its records name are whole then."""
    agents = source / "agents"
    if not os.path.lexists(agents):
        return
    _check_folder(agents)
    for one in sorted(agents.iterdir()):
        if not NAME.fullmatch(one.name) or len(to.relative_to(top).parts) >= 2 * _DEEPEST:
            raise JournalError(f"{agents} holds {one.name[:80]!r}, which no session of this program does")
        if (one / "journal.jsonl").is_file() and (one / "journal.jsonl").stat().st_size:
            (to / "agents").mkdir(mode=0o700, exist_ok=True)
            if not _copy(one, to / "agents" / one.name, top, copied, credentials, room, above):
                shutil.rmtree(to / "agents" / one.name)


def _texts(data: Mapping[str, Json]) -> Iterator[str]:
    """Every string in a record, at any depth."""
    waiting: list[Json] = [data]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case Mapping() as several:
                waiting += several.values()
            case list() as several:
                waiting += several
            case _:
                pass


def _blob(folder: Path, name: str, room: Room, copied: Copied) -> bytes | None:
    """The content of a blob; None where there is none of that name (a digest need not be one), or it is damaged."""
    if not os.path.lexists(path := folder / name[:2] / name):
        return None
    for above in (folder, path.parent):
        _check_folder(above)
    with _opened(path, room) as file:
        raw = files.load(file, file.status.st_size)
    if digest(raw) == name:
        return raw
    copied.damaged += 1
    return None


def _check_folder(path: Path) -> None:
    if not stat.S_ISDIR(_status(path).st_mode):
        raise JournalError(f"{path} is no folder; a session's folders are no links either")


def _status(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except OSError as error:
        raise JournalError(f"cannot read {path}: {files.reason(error)}") from error


@contextlib.contextmanager
def _opened(path: Path, room: Room) -> Iterator[files.Opened]:
    if not stat.S_ISREG(_status(path).st_mode):
        raise JournalError(f"{path} is no regular file, as every file of a session is")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise JournalError(f"cannot read {path}: {files.reason(error)}") from error
    try:
        status = os.fstat(handle)
        room.take(status.st_size)
        yield files.Opened(handle, status)
    finally:
        os.close(handle)


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with open(path, "xb", opener=private) as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
