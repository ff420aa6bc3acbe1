"""A skill's instructions with what they were called with filled in.

Invariant: one pass: what was filled in is not looked at again; what would grow out of bounds is left as written.
"""

from __future__ import annotations

import re
import shlex

MAX_BYTES = 128 * 1024
"""Of instructions with everything filled in."""

_PLACEHOLDER = re.compile(
    r"(?P<escape>\\)?\$(?:ARGUMENTS\[(?P<index>\d{1,2})\]|(?P<all>ARGUMENTS)\b|(?P<number>[1-9])(?!\w)"
    r"|\{(?P<folder>(?:CLAUDE_)?SKILL_DIR)\})"
)


def fill(body: str, arguments: str, folder: str, *, numbered: bool) -> str:
    r"""The instructions for these arguments.

    `$ARGUMENTS`: all of them; `$ARGUMENTS[0]`: the first, words split as a shell does; `${SKILL_DIR}`: the skill's
    folder; `\$…` stays as it is, without the backslash.

    Args:
        numbered: whether `$1` to `$9` are filled too: elsewhere they are left to awk and the shell.
    """
    words = _words(arguments)

    def value(match: re.Match[str]) -> str:
        if match["escape"]:
            return match[0][1:] if match["number"] is None or numbered else match[0]
        if match["folder"]:
            return folder
        if match["all"]:
            return arguments
        if match["number"] and not numbered:
            return match[0]
        index = int(match["index"] or int(match["number"]) - 1)
        return words[index] if index < len(words) else ""

    found = sum(1 for _ in _PLACEHOLDER.finditer(body))
    longest = max(len(arguments.encode("utf-8", "replace")), len(folder.encode("utf-8", "replace")))
    if len(body.encode("utf-8", "replace")) + found * longest > MAX_BYTES:
        return body
    return _PLACEHOLDER.sub(value, body)


def _words(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError:  # an open quote: it is prose
        return arguments.split()
