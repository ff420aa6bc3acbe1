"""Large payloads of a session: content-addressed files beside its journal.

Invariant: a blob is whole or absent, and never overwritten by something else; what was put is on the disk, its name
included, after `sync`.
"""

from __future__ import annotations

import os
from pathlib import Path

from harness.conversation.canonical import digest
from harness.errors import JournalError, storage_error

BLOB_FROM = 32 * 1024
"""Payloads from this size, in bytes, live beside the journal as content-addressed files."""


class Blobs:
    """Content-addressed files: `put` is idempotent, whole or absent, and never overwrites; on the disk after `sync`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unsynced: list[Path] = []

    def put(self, raw: bytes) -> str:
        """Keep the bytes; returns their SHA-256.

        Raises:
            StorageFull: no room, or no right to write.
        """
        name = digest(raw)
        path = self._folder / name[:2] / name
        # by size too: a power loss can leave a renamed file empty
        if path.exists() and path.stat().st_size == len(raw):
            return name
        temporary = path.with_name(f".{name}.part")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(temporary, "wb", opener=private) as file:
                file.write(raw)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise storage_error(error, path) from error
        self._unsynced.append(path)
        return name

    def sync(self) -> None:
        """Every blob put so far is on the disk, under its name, when this returns. Blocks."""
        if not (put := tuple(self._unsynced)):
            return
        folders = {path.parent for path in put} | {self._folder, self._folder.parent}
        for path in (*put, *sorted(folders)):
            sync_path(path)
        del self._unsynced[: len(put)]

    def get(self, name: str) -> bytes:
        """The bytes of a blob.

        Raises:
            JournalError: it is missing, or its content is not what its name says.
        """
        try:
            raw = (self._folder / name[:2] / name).read_bytes()
        except OSError as error:
            raise JournalError(f"session data is missing: {name[:12]} ({error.strerror})") from error
        if digest(raw) != name:
            raise JournalError(f"session data is damaged: {name[:12]} does not have the content that its name says")
        return raw

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
                self.put(path.read_bytes())  # a file system without hard links
            else:
                self._unsynced.append(mine)


def sync_path(path: Path) -> None:
    """A file or folder is on the disk when this returns. Blocks."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private(path: str, flags: int) -> int:
    """An opener whose new files only their owner can read."""
    return os.open(path, flags, 0o600)
