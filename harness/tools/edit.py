"""The tool `edit`: exact replacement in a file that was read.

Invariant: nothing outside the matched text changes by a byte (line ends, BOM, encoding, mode, final newline),
and a file that is not as it was last seen is not touched.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Mapping
from pathlib import Path

from harness.conversation.blocks import Text
from harness.conversation.canonical import Json, clean, digest
from harness.errors import UsageError
from harness.tools.base import Outcome, Seen, Tool, ToolSpec, Vet, Wrote, any_content, error, nobody
from harness.tools.output import one_line, plain, replaced
from harness.workspace import files, replacing, text
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Subject, path_subject

LARGEST = 32 * 1024 * 1024
AROUND = 3
"""Lines before and behind a change that are shown with it."""
SNIPPET = 40
"""Lines that the model is shown after an edit, at most."""
DIFF_LINES = 80
"""Lines that tell the model how a file differs from what it read, at most."""
WIDEST = 200
"""Characters of a line that are compared and shown where a text was not found."""

SPEC = ToolSpec(
    "edit",
    "Replace old by new in a file you have read in this session. old must match exactly, whitespace "
    "included and without the line numbers of read, and occur once: add neighbouring lines to make it "
    "unique, or set all.",
    {
        "additionalProperties": False,
        "properties": {
            "all": {"description": "replace every occurrence", "type": "boolean"},
            "new": {"type": "string"},
            "old": {"type": "string"},
            "path": {"type": "string"},
        },
        "required": ["new", "old", "path"],
        "type": "object",
    },
)


class _Refused(Exception):
    """The edit cannot be made; the message is for the model."""


def make(workspace: Workspace, seen: Seen, vet: Vet = any_content, wrote: Wrote = nobody) -> Tool:
    """The tool; `seen` knows which contents this session has read or written, `vet` what a file may hold.

    wrote: is told of what was written.
    """

    async def run(args: Mapping[str, Json]) -> Outcome:
        old, new = (clean(args[name]).replace("\r\n", "\n") for name in ("old", "new"))
        try:
            path = workspace.resolve(args["path"])
            every = bool(args.get("all", False))
            outcome = await asyncio.to_thread(_edit, (workspace, seen, vet), path, old, new, every=every)
        except (UsageError, _Refused) as problem:
            return error(str(problem))
        await asyncio.to_thread(wrote, [path])
        return outcome

    def subject(args: Mapping[str, Json]) -> Subject:
        return path_subject(workspace, "write", args["path"], replaced(args["old"], args["new"]))

    return Tool(SPEC, run, subject, "files")


def _edit(given: tuple[Workspace, Seen, Vet], path: Path, old: str, new: str, *, every: bool) -> Outcome:
    workspace, seen, vet = given
    shown = one_line(workspace.shown(path))
    real, key = workspace.real(path), workspace.key(path)
    if not old:
        raise _Refused("old is empty; to make a new file or replace all of one use write")
    if old == new:
        raise _Refused("old and new are the same; nothing was changed")
    raw = _current(seen, real, key, shown)
    decoded = text.decode(raw)
    found = replacing.unify(decoded.text)
    starts = replacing.places(found, old, every=every)
    if not starts:
        raise _Refused(_nothing(found.text, old, shown))
    if len(starts) == replacing.MOST:
        raise _Refused(f"old occurs {len(starts):,} times or more in {shown}; nothing was changed")
    if len(starts) > 1 and not every:
        count = f"{len(starts)}{'+' if len(starts) == replacing.TOLD else ''} times"
        raise _Refused(
            f"old occurs {count} in {shown}, at lines {_numbers(found.text, starts)}; add neighbouring lines to make "
            "it unique, or set all"
        )
    result = replacing.replace(found, starts, old, new)
    try:
        changed = decoded.encode(result)
    except UnicodeEncodeError as problem:
        letter = problem.object[problem.start]
        raise _Refused(
            f"{shown} is {decoded.encoding}, which has no character {letter!r}; nothing was changed"
        ) from None
    if refused := vet(real, changed):
        raise _Refused(f"{shown} was not changed: {one_line(refused, 600)}")
    try:
        files.replace(real, changed)
    except OSError as problem:
        raise _Refused(f"cannot write {shown}: {files.reason(problem)}; nothing was changed") from None
    return Outcome(
        (Text(_done(found.text, replacing.unify(result).text, shown, starts, new)),),
        shown=_counts(found.text, replacing.unify(result).text, starts, old, new),
        facts={"seen": {key: digest(changed)}},
        blobs=(changed,) if len(changed) <= files.KEPT else (),
    )


def _current(seen: Seen, real: Path, key: str, shown: str) -> bytes:
    """The file's content, when it is the one this session has seen."""
    known = seen.identity(key)
    try:
        with files.opened(real) as file:
            if file.status.st_size > LARGEST:
                raise _Refused(
                    f"{shown} has {text.size_text(file.status.st_size)}; edit takes at most 32 MB; use shell"
                )
            raw = files.load(file, LARGEST + 1)
    except FileNotFoundError:
        gone = "was deleted since it was read" if known else "does not exist"
        raise _Refused(f"{shown} {gone}; to make it use write") from None
    except files.NotRegular as problem:
        raise _Refused(f"{shown} {files.reason(problem)}; nothing was changed") from None
    except OSError as problem:
        raise _Refused(f"cannot read {shown}: {files.reason(problem)}; nothing was changed") from None
    if known is None:
        raise _Refused(f"{shown} was not read in this session; read it first")
    if digest(raw) != known:
        raise _Refused(_changed(seen.content(known), raw, shown))
    if text.is_binary(raw[:8192]):
        raise _Refused(f"{shown} is binary; edit changes text only")
    return raw


def _changed(before: bytes | None, now: bytes, shown: str) -> str:
    told = f"{shown} changed since it was read; nothing was changed; read it again"
    if before is None or text.is_binary(now[:8192]):
        return told
    old, new = (text.lines_of(text.decode(raw).text) for raw in (before, now))
    if max(len(old), len(new)) > 20_000:
        return told
    diff: list[str] = []
    for one in difflib.unified_diff(old, new, "as read", "now", lineterm="", n=1):
        if len(diff) == DIFF_LINES:
            diff.append("[… the difference goes on]")
            break
        diff.append(_short(one))
    if not diff:
        diff = ["[only line ends, BOM or the final newline differ]"]
    return f"{told}. The difference:\n" + "\n".join(diff)


def _nothing(content: str, old: str, shown: str) -> str:
    told = f"old was not found in {shown}; nothing was changed"
    if all(re.match(r"\s*\d+\t", row) for row in old.split("\n") if row):
        return f"{told}. It begins with line numbers as read shows them: leave those out"
    near = _nearest(text.lines_of(content), text.lines_of(old))
    return f"{told}. The most similar place:\n{near}" if near else told


def _nearest(lines: list[str], old: list[str]) -> str:
    """The lines around the one most like the longest line of `old`; "" when none is similar."""
    if not lines or not old:
        return ""
    offset, key = max(enumerate(old), key=lambda pair: len(pair[1].strip()))
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(key.strip()[:WIDEST])
    best, where = 0.5, -1
    for number, row in enumerate(lines[:20_000]):
        matcher.set_seq1(row.strip()[:WIDEST])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and matcher.ratio() > best:
            best, where = matcher.ratio(), number
            if best == 1.0:
                break
    if where < 0:
        return ""
    first = max(0, where - offset - 1)
    return _numbered(lines, first, min(first + min(len(old), 20) + 2, len(lines)))


def _numbered(lines: list[str], first: int, behind: int) -> str:
    return "\n".join(f"{number + 1:6d}\t{_short(lines[number])}" for number in range(first, behind))


def _short(row: str) -> str:
    return plain(row if len(row) <= WIDEST else row[:WIDEST] + " […]").replace("\n", " ")


def _numbers(content: str, starts: list[int]) -> str:
    found, line, place = [], 1, 0
    for start in starts[:20]:
        line += content.count("\n", place, start)
        place = start
        found.append(str(line))
    return ", ".join(found) + (", …" if len(starts) > 20 else "")


def _done(before: str, after: str, shown: str, starts: list[int], new: str) -> str:
    times = "" if len(starts) == 1 else f", {len(starts)} places; the first"
    lines = text.lines_of(after)
    top = before.count("\n", 0, starts[0])
    first = max(0, top - AROUND)
    behind = min(len(lines), top + new.count("\n") + 1 + AROUND)
    cut = min(behind, first + SNIPPET)
    more = f"\n[… {behind - cut} more lines of new text]" if cut < behind else ""
    gone = "" if lines else "\n[the file is now empty]"
    return f"edited {shown}{times}:\n{_numbered(lines, first, cut)}{more}{gone}"


def _counts(before: str, after: str, starts: list[int], old: str, new: str) -> str:
    """Lines added and removed, as a line-wise comparison of old and new would count them."""
    whole_old = _lines_touched(before, starts[0], old)
    whole_new = _lines_touched(after, starts[0], new)
    if len(whole_old) + len(whole_new) > 400:
        plus, minus = len(whole_new), len(whole_old)
    else:
        same = sum(
            block.size
            for block in difflib.SequenceMatcher(None, whole_old, whole_new, autojunk=False).get_matching_blocks()
        )
        plus, minus = len(whole_new) - same, len(whole_old) - same
    return f"+{plus * len(starts)} -{minus * len(starts)}"


def _lines_touched(content: str, start: int, piece: str) -> list[str]:
    first = content.rfind("\n", 0, start) + 1
    behind = content.find("\n", start + len(piece))
    return text.lines_of(content[first : behind if behind >= 0 else len(content)])
