"""Making output fit to be read: cut to size, and free of characters that act instead of showing.

Invariant: what `bound` and `join` give is never longer than the limit (plus the one line that says what is
missing), and depends only on its input.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.conversation.blocks import Image, Text
from harness.workspace import files

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\U000e0000-\U000e007f]")
"""Control characters but newline and tab; lone surrogates; tag characters, which hide text from people."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""These and what reorders text or takes no room: bidi controls, zero-width, fillers, selectors."""

_PICTURE = "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_JOINING = re.compile(
    f"(?<=[{_PICTURE}])[\ufe0e\ufe0f]|(?<=[#*0-9])\ufe0f(?=\u20e3)|(?<=[{_PICTURE}\ufe0f])\u200d(?=[{_PICTURE}])"
    "|(?<=[\u0600-\u0dff])[\u200c\u200d](?=[\u0600-\u0dff])"
)
"""Those that are part of what is seen: in an emoji, and between letters that Persian and Indic scripts join or part."""


@dataclass(frozen=True, slots=True)
class Spill:
    """Where whole outputs are kept: a private folder, made when the first one comes."""

    folder: Path
    lost: list[str] = field(default_factory=list)
    """Why outputs could not be kept, for the person; whoever tells them takes it."""

    def keep(self, data: bytes) -> Path:
        """Stores `data` under the name of its content.

        Raises:
            OSError: no room, no right.
        """
        try:
            return files.store(self.folder, data)
        except OSError as error:
            self.lost.append(f"a whole output could not be kept: {files.reason(error)}")
            raise


def visible(text: str) -> str:
    r"""`text` for a person to read: what acts, hides or reorders is written out (`\x1b`, `\u202e`), emoji are left."""
    return _UNSEEN.sub(lambda found: found[0] if _JOINING.match(text, found.start()) else _escape(found), text)


def exact(text: str) -> str:
    r"""`text` for a person to decide on: as `visible`, and whatever takes no room is written out, in an emoji too."""
    return _UNSEEN.sub(_escape, text)


def plain(text: str) -> str:
    r"""`text` for the model: control characters are written out, so that no output can forge what they do.

    `\r\n` becomes `\n`.
    """
    return _ACTING.sub(_escape, text.replace("\r\n", "\n"))


_ROLES = re.compile(
    r"[<\uff1c\ufe64](?=\s*/?\s*(?:(?:page|results?|system|sys|user|assistant|human|developer|tool|function|invoke|parameter|antml"
    r"|thinking|(?:start|end)_of_turn)\b|(?:tool|function|system|user|assistant|human)[_-]|antml:)|[|\uff5c])",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"\[(?=\s*(?:session context|side request|from the cache|web page|the page was too large|…\s*[\d,]+ bytes)\b"
    r"|/?INST\])",
    re.IGNORECASE,
)


def foreign(text: str) -> str:
    """`plain` text of a stranger that cannot end its frame, play another speaker, or pass for our own words.

    The tags of roles and tools (`<system>` becomes `&lt;system>`), the marks of chat templates (`<|`, `[INST]`), and
    what begins like a message of this program (`[Session context`, `[… 9 bytes left out`).
    """
    return _CONTEXT.sub("&#91;", _ROLES.sub("&lt;", plain(_INVISIBLE.sub("", text))))


_INVISIBLE = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0080-\U000e0fff]"
)
"""What takes no room or reorders: it splits words that are looked for, and hides text from people."""


def head(text: str, limit: int, spill: Spill) -> tuple[str, str]:
    """`text`, or its first lines when it has more than `limit` bytes; and the path of the whole, or ""."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return text, ""
    first = _head(raw[:limit])
    try:
        path = str(spill.keep(raw))
        where = f"the whole: {path}; read it with offset={first.count(10) + 1}"
    except OSError as error:
        path, where = "", f"the whole could not be kept: {files.reason(error)}"
    return f"{_text(first).rstrip(chr(10))}\n[… {len(raw) - len(first):,} bytes left out; {where}]", path


def signed(sign: str, text: str) -> str:
    """Every line with its sign before it, as in a diff: "+ line"."""
    return "\n".join(f"{sign} {part}" for part in text.split("\n"))


def written(content: str) -> str:
    """All lines of a new file, as in a diff; that the last one has no newline is rare, and told."""
    return signed("+", content[:-1]) if content.endswith("\n") else signed("+", content) + "\n\\ no newline at the end"


def replaced(old: str, new: str) -> str:
    """A piece of a file and what takes its place, as in a diff. The newline that ends both is part of no line."""
    if old.endswith("\n") and new.endswith("\n"):
        old, new = old[:-1], new[:-1]
    return signed("-", old) + "\n" + signed("+", new)


def one_line(text: str, limit: int = 200) -> str:
    """`text` as part of one line for anybody: nothing in it is hidden, newlines too, cut at `limit` characters."""
    flat = exact(text).replace("\n", "\\n").replace("\t", "\\t")
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    if match[0] == "\r":
        return "\\r"
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, kept by "surrogateescape"
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def bound(text: str, limit: int, spill: Spill) -> tuple[str, str]:
    """`text`, or its head and tail when it has more than `limit` bytes; and the path of the whole, or "".

    Cut at line ends where that costs less than a quarter, else between characters.
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return text, ""
    try:
        path = str(spill.keep(raw))
    except OSError as error:
        return join(raw, b"", len(raw), limit, f"it could not be kept: {files.reason(error)}"), ""
    return join(raw, b"", len(raw), limit, f"whole output: {path}; read it with offset and limit"), path


EMPTY = "(no output)"


def entered(given: Sequence[Text | Image], limit: int, spill: Spill) -> tuple[Text | Image, ...]:
    """What of a tool's output enters the conversation: each text bounded by `limit` bytes, and never nothing."""
    parts = (part for part in given if isinstance(part, Image) or part.text.strip())
    shown = (part if isinstance(part, Image) else Text(bound(part.text, limit, spill)[0]) for part in parts)
    return tuple(shown) or (Text(EMPTY),)


def join(head: bytes, tail: bytes, total: int, limit: int, where: str) -> str:
    """Head and tail of an output as one text of at most `limit` bytes and one line in between.

    head, tail: its first and last bytes (together everything when `total` is their sum). where: how to see
    the rest.
    """
    if total <= limit and total == len(head) + len(tail):
        return _text(head + tail)
    if len(tail) < limit // 2:
        tail = (head + tail)[-(limit // 2) :] if total == len(head) + len(tail) else tail
    first = _head(head[: limit - limit // 2])
    last = _tail(tail[-(limit // 2) :])
    left = total - len(first) - len(last)
    before = "" if first.endswith(b"\n") or not first else "\n"
    return f"{_text(first)}{before}[… {left:,} bytes left out; {where}]\n{_text(last)}"


def _head(raw: bytes) -> bytes:
    cut = raw.rfind(b"\n") + 1
    if cut > len(raw) * 3 // 4:
        return raw[:cut]
    cut = len(raw)
    while cut > 0 and len(raw) - cut < 4 and raw[cut - 1] & 0xC0 == 0x80:
        cut -= 1
    # `cut` is now behind the lead byte of the last character, if that has more than one byte.
    if cut > 0 and raw[cut - 1] >= 0xC0:
        whole = raw[cut - 1 :]
        need = 2 if whole[0] < 0xE0 else 3 if whole[0] < 0xF0 else 4
        return raw if len(whole) >= need else raw[: cut - 1]
    return raw


def _tail(raw: bytes) -> bytes:
    cut = raw.find(b"\n") + 1
    if 0 < cut < len(raw) // 4:
        return raw[cut:]
    cut = 0
    while cut < min(3, len(raw)) and raw[cut] & 0xC0 == 0x80:
        cut += 1
    return raw[cut:]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
