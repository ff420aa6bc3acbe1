"""Reads text that strangers may have written: bounded, from regular files only, with nothing invisible in it.

Invariant: no call blocks, reads more than its limit, leaves the folder it was confined to, or returns a
character that a terminal or a model would see otherwise than a person does.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path

# Joiners that Persian, Indic scripts and emoji need; every other format character is shown as an escape.
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class Content:
    """The first bytes of a file, at most the limit asked for, and the size of the whole."""

    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file that is there was not read."""

    reason: str


def read(path: Path, limit: int, within: Path | None = None) -> Content | Refusal | None:
    """The first `limit` bytes of a regular file; None where nothing is.

    With `within`, a path that leads out of that folder through symlinks is refused.
    """
    try:
        real = path.resolve(strict=True)
        if within is not None and not real.is_relative_to(within.resolve()):
            return Refusal("leads outside the project")
        # The type is asked of what was opened, so that nothing can be swapped in between; without O_NONBLOCK
        # opening a FIFO would wait for its writer.
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            return Refusal("not a regular file")
        with os.fdopen(handle, "rb") as file:
            return Content(file.read(limit), status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return Refusal("a symlink to nothing") if path.is_symlink() else None
    except OSError as error:
        return Refusal(error.strerror or "cannot be read")
    except (RuntimeError, ValueError):
        # A loop of symlinks; a NUL in the name.
        return Refusal("not a usable path")


def visible(text: str) -> str:
    r"""`text` with every control, bidirectional and otherwise invisible character as `\xNN`, `\uNNNN`.

    Newlines and tabs stay; CRLF becomes LF and a leading byte order mark goes.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    # Nearly every text: one scan in C.
    if text.isascii() and text.translate(_PLAIN).isprintable():
        return text
    return "".join(_escape(char) if _is_hidden(char) else char for char in text)


_PLAIN = {ord("\n"): " ", ord("\t"): " "}


def _is_hidden(char: str) -> bool:
    if char in "\n\t" or char in _JOINERS:
        return False
    # Line and paragraph separators, and the variation selectors that can carry a hidden message.
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or "\U000e0100" <= char <= "\U000e01ef"


def hidden(text: str) -> list[tuple[int, list[str]]]:
    """The lines, from 1, with characters that `visible` writes out, and those characters as "U+202E", each once."""
    found = []
    for number, line in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1):
        codes = dict.fromkeys(f"U+{ord(char):04X}" for char in line if _is_hidden(char))
        if codes:
            found.append((number, list(codes)[:8]))
    return found


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, limit: int) -> str:
    """`text`, or its beginning with "…", in at most `limit` bytes, cut between characters."""
    data = text.encode()
    return text if len(data) <= limit else data[: limit - len("…".encode())].decode(errors="ignore") + "…"


def excerpt(content: Content, limit: int, note: str) -> str:
    """The lines that fit in `limit` bytes, then `note` with the number of bytes left out, if any.

    `note` contains `{}` for that number; it counts towards the limit. A first line that does not fit is cut
    itself.
    """
    whole = visible(content.data.decode(errors="replace")).strip("\n")
    if len(whole.encode()) <= limit and len(content.data) == content.size:
        return whole
    room = limit - len(note.format(content.size).encode()) - 1
    shown: list[str] = []
    used = 0
    # Bytes of UTF-8 never cross a newline, so each line can be measured as it is in the file.
    for line in content.data.split(b"\n"):
        text = visible(line.decode(errors="replace").rstrip("\r"))
        need = len(text.encode()) + 1
        if need > room:
            if not shown and room > 0:
                text = shorten(text, room)
                shown, used = [text], min(len(line), len(text.encode()))
            break
        shown.append(text)
        room -= need
        used += len(line) + 1
    return "\n".join([*shown, note.format(max(content.size - used, 0))])
