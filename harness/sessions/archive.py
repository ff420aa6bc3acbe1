"""A session's folder as one .tar.gz file, and back.

Invariant: the same folder gives the same bytes, with no name, owner or time of this machine in them; of an archive only
what has the place of a session's file is unpacked, and no more than is allowed, however small it was packed.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from pathlib import Path

from harness.conversation.private_files import private
from harness.errors import JournalError

ENDING = ".tar.gz"
_FILE = re.compile(r"(?:agents/[A-Za-z0-9][A-Za-z0-9._-]{0,99}/)*(?:journal\.jsonl|blobs/([0-9a-f]{2})/\1[0-9a-f]{62})")
_PIECE = 1 << 20
_LONGEST_NAME = 1_000


def named_so(path: Path) -> bool:
    """Whether a file of that name is an archive."""
    return path.name.lower().endswith(ENDING)


def pack(folder: Path, path: Path) -> None:
    """Pack a folder, under its own name, into a new file (0600).

    Raises:
        OSError: it cannot be written.
    """
    with (
        open(path, "xb", opener=private) as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for one in sorted(folder.rglob("*")):
            if one.is_file():
                about = tarfile.TarInfo(str(one.relative_to(folder.parent)))
                about.size, about.mode = one.stat().st_size, 0o600
                with one.open("rb") as file:
                    tar.addfile(about, file)


def unpack(path: Path, to: Path, most: int, members: int) -> Path:
    """Unpack what a session is made of into a new folder; gives the session's, which is in it.

    Args:
        most: bytes that may come out of the archive, whatever becomes of them.
        members: as many may be in it.

    Raises:
        JournalError: it is no archive of one session, or too large.
        OSError: the folder cannot be written.
    """
    names = set()
    to.mkdir(mode=0o700)
    try:
        with _Bounded(path, most) as packed, tarfile.open(fileobj=packed, mode="r:") as tar:
            for number, member in enumerate(tar):
                most -= member.size  # what is left out is unpacked, too
                if number >= members or most < 0:
                    raise _too_large(path)
                top, _, name = member.name.partition("/")
                names.add(top)
                if len(name) > _LONGEST_NAME or not _FILE.fullmatch(name):
                    continue
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or (file := tar.extractfile(member)) is None:
                    raise JournalError(f"{path}: {name} is no regular file, as every file of a session is")
                target = to / "session" / name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with open(target, "xb", opener=private) as out:
                    while piece := file.read(_PIECE):
                        out.write(piece)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, FileExistsError) as error:
        raise JournalError(f"{path} is no archive of a session: {str(error) or 'it ends early'}") from error
    if len(names) != 1 or not (to / "session").is_dir():
        raise JournalError(f"{path} is no archive of one session; `harness sessions export --format session` makes one")
    folder = to / _safe(*names)
    (to / "session").rename(folder)
    return folder


def _safe(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) else "session"


def _too_large(path: Path) -> JournalError:
    return JournalError(f"{path} unpacks to more than is taken in; unpack it yourself if you trust it")


class _Bounded(gzip.GzipFile):
    """Gives no more than `most` bytes, and none of its pieces is larger than what is asked for in good faith."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path, "rb")
        self._path = path
        self._left = most

    def read(self, size: int | None = -1) -> bytes:
        """See `GzipFile`. Raises JournalError."""
        if size is None or not 0 <= size <= _PIECE:
            raise _too_large(self._path)
        raw = super().read(size)
        self._left -= len(raw)
        if self._left < 0:
            raise _too_large(self._path)
        return raw
