"""Converted texts by their key, and the log of what was converted, hit or failed.

Invariant: a text stands under the key of exactly what it was made from, whole, private, and is given only while its
bytes are those that were written; the cache and its log are bounded.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.audit.cache_uses import CacheUse, How
from harness.conversation.private_files import write_whole
from harness.documents.folders import locked
from harness.documents.outline import Section
from harness.workspace import files


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept."""

    texts: int = 1000
    size: int = 256 * 1024 * 1024


NAME = "documents"
"""This cache, for who lists its uses."""

WORK = "work-"
"""What the folders of running conversions begin with."""

_TIME = "%Y-%m-%d %H:%M:%S UTC"
_LOG_BYTES = 1024 * 1024
_LARGEST = 64 * 1024 * 1024
_ABANDONED = 3600.0
"""Seconds after which the folder of a conversion belongs to nobody."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a converted text.

    key: hex. source: the document's path when it was converted. kind: "PDF". time: when, ISO 8601, UTC. digest: SHA-256
    of the text. lines, size: of the text; size in bytes.
    """

    key: str
    source: str
    kind: str
    time: str
    digest: str
    lines: int
    size: int
    sections: tuple[Section, ...]


def stamp(now: float) -> str:
    """A time as the log and the entries have it: "2026-11-25 19:04:05 UTC"."""
    return dt.datetime.fromtimestamp(now, dt.UTC).strftime(_TIME)


def text_path(cache: Path, key: str) -> Path:
    """Where the text of a key is."""
    return cache / f"{key}.txt"


def find(cache: Path, key: str, now: float) -> Entry | None:
    """The entry of a key whose text is there, as it was written; it then counts as just used."""
    entry = _load(cache / f"{key}.json")
    if entry is None or entry.key != key:
        return None
    path = text_path(cache, key)
    try:
        with files.opened(path) as file:
            state = hashlib.sha256()
            for piece in files.chunks(file):
                state.update(piece)
        if state.hexdigest() != entry.digest:
            return None
        os.utime(cache / f"{key}.json", (now, now))
    except OSError:
        return None
    return entry


def put(cache: Path, entry: Entry, text: bytes) -> None:
    """Keeps a text; what describes it is written last.

    Raises:
        OSError: no room, no right; nothing half-written stays under the key.
    """
    write_whole(text_path(cache, entry.key), text)
    write_whole(cache / f"{entry.key}.json", json.dumps(asdict(entry), ensure_ascii=True).encode() + b"\n")


def entries(cache: Path) -> list[Entry]:
    """All that is kept, the last used first."""
    found = sorted(_described(cache), key=lambda pair: -pair[0])
    return [entry for _, path in found if (entry := _load(path)) is not None]


def prune(cache: Path, now: float, bounds: Bounds = Bounds(), keep: str = "") -> tuple[int, int]:
    """Removes what was used longest ago, beyond the bounds; gives number and bytes of the texts removed.

    keep: a key that stays in any case, and counts first.

    Raises:
        OSError: a file cannot be removed.
    """
    removed = freed = count = total = 0
    with locked(cache):
        for _, path in sorted(_described(cache), key=lambda pair: (pair[1].stem != keep, -pair[0])):
            text = path.with_suffix(".txt")
            size = text.stat().st_size if text.exists() else 0
            count, total = count + 1, total + size
            if path.stem != keep and (count > bounds.texts or total > bounds.size):
                path.unlink(missing_ok=True)
                text.unlink(missing_ok=True)
                removed, freed = removed + 1, freed + size
                count, total = count - 1, total - size
        for left in [*cache.glob("*.txt"), *cache.glob(".*.part"), *cache.glob(f"{WORK}*")]:
            orphan = left.suffix != ".txt" or not left.with_suffix(".json").exists()
            if orphan and now - left.lstat().st_mtime > _ABANDONED:
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return removed, freed


def _described(cache: Path) -> Iterator[tuple[float, Path]]:
    for path in cache.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # another process removes them too
            yield path.stat().st_mtime, path


def _load(path: Path) -> Entry | None:
    """An entry; None where there is none, or a damaged one."""
    try:
        with files.opened(path) as file:
            value = json.loads(files.load(file, _LARGEST))
        sections = tuple(
            Section(str(one["title"]), int(one["first"]), int(one["last"])) for one in value.pop("sections")
        )
        entry = Entry(**value, sections=sections)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    texts = (entry.key, entry.source, entry.kind, entry.time, entry.digest)
    sound = all(isinstance(one, str) for one in texts) and all(isinstance(n, int) for n in (entry.lines, entry.size))
    return entry if sound else None


# -------------------------------------------------------------------------------------------------- the log


def log(cache: Path, event: Mapping[str, Any]) -> None:
    """Adds a line to the log; a full one keeps its later half.

    Raises:
        OSError: no room, no right.
    """
    line = json.dumps(event, ensure_ascii=True).encode() + b"\n"
    path = cache / "log.jsonl"
    with locked(cache):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, line)
            size = os.fstat(handle).st_size
        finally:
            os.close(handle)
        if size > _LOG_BYTES:
            write_whole(path, path.read_bytes()[-_LOG_BYTES // 2 :].partition(b"\n")[2])


def uses(cache: Path) -> Iterator[CacheUse]:
    """The lines of the log as uses of a cache, oldest first; the log knows no sessions."""
    hows: Mapping[str, How] = {"hit": "hit", "converted": "stored", "failed": "unkept"}
    made: dict[str, float] = {}
    for line in logged(cache):
        try:
            at = dt.datetime.strptime(line["time"], _TIME).replace(tzinfo=dt.UTC).timestamp()
            how, key, what = hows[line["event"]], str(line["key"]), f"{line['kind']} {line['source']}"
        except (KeyError, TypeError, ValueError):
            continue
        age = at - made[key] if how == "hit" and key in made else None
        if how == "stored":
            made[key] = at
        yield CacheUse(at, NAME, what, how, key, scope="user", age=age, problem=str(line.get("problem", "")))


def logged(cache: Path) -> list[dict[str, Any]]:
    """The lines of the log, oldest first; damaged ones are left out."""
    try:
        raw = (cache / "log.jsonl").read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in raw.split(b"\n"):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
