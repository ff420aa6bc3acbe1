"""Large payloads of a session: content-addressed files beside its journal.

Invariant: a blob is whole or absent, and never overwritten by something else; what was put is on the disk, its name
included, after `sync`.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from harness.conversation.canonical import digest
from harness.conversation.private_files import sync_path, write_whole
from harness.conversation.regular import open_regular
from harness.errors import JournalError, storage_error

BLOB_FROM = 32 * 1024
"""Payloads from this size, in bytes, live beside the journal as content-addressed files."""

LARGEST = 256 * 1024 * 1024
"""Bytes of the largest payload that is written or read."""

_NAME = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """Content-addressed files: `put` is idempotent, whole or absent, and never overwrites; on the disk after `sync`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unsynced: dict[Path, None] = {}

    def put(self, raw: bytes) -> str:
        """Keep the bytes; returns their SHA-256.

        Raises:
            StorageFull: no room, or no right to write.
            JournalError: it is larger than anything that is kept.
        """
        if len(raw) > LARGEST:
            raise JournalError(f"data of {len(raw):,} bytes is too large for the session; it is not kept")
        name = digest(raw)
        path = self._folder / name[:2] / name
        # by size too: a power loss can leave a renamed file empty
        if path.exists() and path.stat().st_size == len(raw):
            return name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, raw, synced=False)
        except OSError as error:
            raise storage_error(error, path) from error
        self._unsynced[path] = None
        return name

    def sync(self) -> None:
        """Every blob put so far is on the disk, under its name, when this returns. Blocks."""
        if not (put := tuple(self._unsynced)):
            return
        folders = {path.parent for path in put} | {self._folder, self._folder.parent}
        for path in (*put, *sorted(folders)):
            sync_path(path)
        for path in put:
            # another sync may have had it too: one that was cancelled goes on in its thread
            self._unsynced.pop(path, None)

    def get(self, name: str) -> bytes:
        """The bytes of a blob.

        Raises:
            JournalError: it is missing, or its content is not what its name says.
        """
        if not _NAME.fullmatch(name):
            raise JournalError(f"session data is damaged: {name[:12]!r} is no name of any")
        try:
            raw = _read(self._folder / name[:2] / name)
        except OSError as error:
            raise JournalError(f"session data is missing: {name[:12]} ({error.strerror})") from error
        if digest(raw) != name:
            raise JournalError(f"session data is damaged: {name[:12]} does not have the content that its name says")
        return raw

    def moved(self, folder: Path) -> None:
        """They are in another folder from now on; all of them were synced."""
        self._folder = folder

    def adopt(self, other: Blobs) -> None:
        """Have every blob of another session too, without reading it; whole ones only, so its owner may be writing.

        Raises:
            StorageFull: no room, or no right to write.
        """
        for path in sorted(other._folder.glob("??/*")):
            if path.name.startswith("."):
                continue  # being written
            mine = self._folder / path.parent.name / path.name
            try:
                mine.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.link(path, mine)
            except FileExistsError:
                continue
            except OSError:
                self.put(_read(path))  # a file system without hard links
            else:
                self._unsynced[mine] = None


def _read(path: Path) -> bytes:
    """The content of a file, and of nothing that only looks like one: a session may come from anybody."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return file.read(LARGEST + 1)
