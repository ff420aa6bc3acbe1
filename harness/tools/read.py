"""The tool `read`: a file as numbered lines, or an image.

Invariant: what is returned is bounded, memory is flat, and nothing but a regular file is ever read from,
whatever its name; the whole file's identity goes into the facts, so that a later edit knows whether it
changed.
"""

from __future__ import annotations

import asyncio
import base64
import heapq
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.caches.file_state import FileState, state_of
from harness.caches.tool_outputs import Lookup, ToolOutputs
from harness.conversation.blocks import Image, Text
from harness.conversation.canonical import Json, digest
from harness.errors import UsageError
from harness.tools.base import Outcome, Tool, ToolSpec, error
from harness.tools.output import one_line, plain
from harness.tools.unchanged import unchanged
from harness.workspace import files, images, text
from harness.workspace.paths import Workspace
from harness.workspace.permissions import path_subject

LINES = 1000
BYTES = 40_000
LONGEST = 2000
"""Characters of a line that are shown."""
IMAGE_BYTES = 3_500_000
IMAGE_PIXELS = 8000
"""A side. Anthropic takes images of 5 MB as base64, and no longer sides (platform.claude.com, vision)."""
ENTRIES = 50
"""Names that are listed of a folder."""
VERSION = 1
"""Of what is made of a file: one more, and what is cached of it is made anew."""

_SCANNED = 256 * 1024 * 1024
"""Bytes from the start within which a range is looked for."""

SPEC = ToolSpec(
    "read",
    "Read a file as numbered lines, or look at an image (png, jpeg, gif, webp). Gives up to 1,000 lines or "
    "40,000 bytes from offset and says how to go on. Paths may be absolute, relative to the working "
    "directory, or ~/...",
    {
        "additionalProperties": False,
        "properties": {
            "limit": {"description": "number of lines", "minimum": 1, "type": "integer"},
            "offset": {"description": "first line, from 1", "minimum": 1, "type": "integer"},
            "path": {"type": "string"},
        },
        "required": ["path"],
        "type": "object",
    },
)


def make(workspace: Workspace, outputs: ToolOutputs | None = None) -> Tool:
    """The tool, for one workspace. outputs: the cache; of large files, whose content is not kept beside the journal."""

    async def run(args: Mapping[str, Json]) -> Outcome:
        try:
            path = workspace.resolve(args["path"])
        except UsageError as problem:
            return error(str(problem))
        offset, limit = args.get("offset", 1), min(args.get("limit", LINES), LINES)

        async def look() -> tuple[Outcome, bool]:
            return await asyncio.to_thread(_read, workspace, path, offset, limit), True

        if outputs is None or not outputs.keeps_files("read"):
            return (await look())[0]
        real, shown = workspace.key(path), one_line(workspace.shown(path))
        asked = {"path": shown, "offset": offset, "limit": limit}
        lookup = Lookup("read", VERSION, asked, covers=real, shown=f"{shown} from line {offset}")
        return await unchanged(outputs, lookup, lambda: asyncio.to_thread(_state, workspace.real(path)), look)

    return Tool(SPEC, run, lambda args: path_subject(workspace, "read", args["path"]))


def _read(workspace: Workspace, path: Path, offset: int, limit: int) -> Outcome:
    shown = one_line(workspace.shown(path))
    try:
        if path.is_dir():
            return _folder(path, shown)
        with files.opened(workspace.real(path)) as file:
            return _opened(file, workspace.key(path), shown, offset, limit)
    except FileNotFoundError:
        return error(f"{shown} does not exist; find it with glob{_near(path)}")
    except files.NotRegular as problem:
        return error(f"{shown} {files.reason(problem)}; only regular files can be read")
    except (OSError, ValueError) as problem:
        return error(f"cannot read {shown}: {files.reason(problem) if isinstance(problem, OSError) else problem}")


def _state(path: Path) -> FileState | None:
    """What tells the content of a file that is too large to be kept; None of any other."""
    try:
        return state_of([os.fsencode(path)]) if path.stat().st_size > files.KEPT else None
    except (OSError, ValueError):
        return None


def _near(path: Path) -> str:
    """Names beside a missing file that differ in case or ending only."""
    try:
        stem = path.stem.casefold()
        names = heapq.nsmallest(3, (entry.name for entry in path.parent.iterdir() if entry.stem.casefold() == stem))
    except (OSError, ValueError):
        return ""
    return f" (there is {', '.join(map(one_line, names))})" if names else ""


def _folder(path: Path, shown: str) -> Outcome:
    names = [entry.name + ("/" if entry.is_dir() else "") for entry in heapq.nsmallest(ENTRIES, path.iterdir())]
    count = sum(1 for _ in path.iterdir())
    rest = f"\n[and {count - len(names):,} more]" if count > len(names) else ""
    listed = "\n".join(map(one_line, names))
    return error(f"{shown} is a directory; find files in it with glob. It holds:\n{listed or '(nothing)'}{rest}")


def _opened(file: files.Opened, real: str, shown: str, offset: int, limit: int) -> Outcome:
    count = file.status.st_size
    head = files.load(file, 8192)
    if media_type := text.image_type(head):
        return _image(file, media_type, shown)
    if text.is_binary(head):
        return error(f"{shown} is binary: {text.kind(head)}, {text.size_text(count)}; use shell to look into it")
    if not head:
        return Outcome(
            (Text(f"[{shown} is empty]"),), shown="0 lines", facts={"seen": {real: digest(b"")}}, blobs=(b"",)
        )
    if count <= files.KEPT:
        raw = files.load(file, files.KEPT + 1)
        if len(raw) > files.KEPT:
            return error(f"{shown} is growing while it is read; use shell with tail")
        decoded = text.decode(raw)
        lines = text.lines_of(decoded.text)
        window = _window(lines, offset, limit, len(lines))
        note = "; ".join(filter(None, (decoded.note, "CRLF line ends" if "\r\n" in decoded.text else "")))
        return _answer(window, shown, offset, note, {real: digest(raw)}, (raw,))
    known = count <= files.HASHED
    total = sum(piece.count(b"\n") for piece in files.chunks(file, files.HASHED)) if known else None
    if total is not None and files.load_last(file) != b"\n":
        total += 1
    window = _window(_stream(file), offset, limit, total)
    note = "" if known else f"the file has {text.size_text(count)}"
    return _answer(window, shown, offset, note, {real: files.identity(file)}, ())


@dataclass(frozen=True, slots=True)
class _Window:
    """Rendered lines; `total` lines of the file, None when it was not counted; `more` lines follow."""

    lines: list[str]
    total: int | None
    more: bool


def _window(lines: Iterable[str], offset: int, limit: int, total: int | None) -> _Window:
    found: list[str] = []
    room = BYTES
    for number, content in enumerate(lines, 1):
        if number < offset:
            continue
        if len(found) == limit:
            return _Window(found, total, more=True)
        cut = f" [… {len(content) - LONGEST:,} more characters]" if len(content) > LONGEST else ""
        shown = f"{number:6d}\t{plain(content[:LONGEST])}{cut}"
        room -= len(shown.encode("utf-8", "replace")) + 1
        if room < 0 and found:
            return _Window(found, total, more=True)
        found.append(shown)
    return _Window(found, total, more=False)


def _stream(file: files.Opened) -> Iterable[str]:
    """The lines of a file of any size; of a long line only as much as is shown is held."""
    keep = 4 * LONGEST
    held, skipped = bytearray(), 0
    for piece in files.chunks(file, _SCANNED):
        *whole, rest = piece.split(b"\n")
        for end in whole:
            room = max(0, keep - len(held))
            yield _line(bytes(held) + end[:room], skipped + max(0, len(end) - room))
            held, skipped = bytearray(), 0
        room = max(0, keep - len(held))
        held += rest[:room]
        skipped += max(0, len(rest) - room)
    if held:
        yield _line(bytes(held), skipped)


def _line(raw: bytes, skipped: int) -> str:
    content = raw.decode("utf-8", "surrogateescape").removesuffix("\r")
    # Stands in for what was not held, so that the cut is counted (in bytes here, which for most text is the
    # same).
    return content + " " * min(skipped, 1_000_000)


def _answer(
    window: _Window, shown: str, offset: int, note: str, seen: dict[str, Json], blobs: tuple[bytes, ...]
) -> Outcome:
    facts = {"seen": seen}
    if not window.lines:
        if window.total is None:
            scanned = text.size_text(_SCANNED)
            where = f"line {offset} is not within its first {scanned}; use grep, or shell with sed -n"
        else:
            where = f"it has {window.total:,} lines, and offset is {offset}"
        return Outcome((Text(f"{shown}: {where}"),), is_error=True, shown=where, facts=facts, blobs=blobs)
    last = offset + len(window.lines) - 1
    part = ""
    if window.more or offset > 1:
        of = f" of {window.total}" if window.total is not None else ""
        part = f"lines {offset}-{last}{of}" + (f"; go on with offset={last + 1}" if window.more else "")
    foot = "; ".join(filter(None, (part, note)))
    body = "\n".join(window.lines) + (f"\n[{foot}]" if foot else "")
    return Outcome((Text(body),), shown=_count(len(window.lines)), facts=facts, blobs=blobs)


def _count(lines: int) -> str:
    return "1 line" if lines == 1 else f"{lines:,} lines"


def _image(file: files.Opened, media_type: str, shown: str) -> Outcome:
    count = file.status.st_size
    if count > IMAGE_BYTES:
        return error(
            f"{shown} is an image of {text.size_text(count)}; at most {text.size_text(IMAGE_BYTES)} can be "
            "looked at; make a smaller copy first"
        )
    raw = files.load(file, IMAGE_BYTES)
    pixels = images.size(raw)
    if pixels is None:
        return error(f"{shown} starts as {media_type} but is cut short or broken")
    if not 0 < max(pixels) <= IMAGE_PIXELS:
        return error(
            f"{shown} is {pixels[0]}x{pixels[1]} pixels; at most {IMAGE_PIXELS} per side; make a smaller copy first"
        )
    about = f"{media_type}, {pixels[0]}x{pixels[1]} pixels, {text.size_text(count)}"
    return Outcome((Text(f"[{shown}: {about}]"), Image(media_type, base64.b64encode(raw).decode("ascii"))), shown=about)
