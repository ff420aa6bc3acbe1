"""Reading a shell command as one simple command, or not at all.

Invariant: what `words` gives is what a POSIX shell or bash would run: one program with these arguments (file
patterns and `~` in them not yet replaced), no other program, no redirection, no assignment. Whatever this module
is not sure of gives None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_METACHARACTERS = frozenset(";|&<>(){}`$\n\r\0")
_RESERVED = frozenset(
    {"!", "[[", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in"}
    | {"select", "then", "time", "until", "while"}
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[.*\])?\+?=", re.DOTALL)
_GLOB = frozenset("*?[")

LONGEST = 100_000
"""Characters a command may have; the system takes hardly more."""


@dataclass(slots=True)
class _Word:
    """A word while it is read. `globbed`: an unquoted `*`, `?` or `[` stands in it; `leads`: first in it."""

    text: str = ""
    globbed: bool = False
    leads: bool = False
    begun: bool = False


def words(command: str) -> tuple[str, ...] | None:
    """The words of one simple command, quotes removed; at least one. None for anything else.

    None: unquoted `; | & < > ( ) { }`, a comment, newline, CR or another control character; `$` or a backtick outside
    single quotes; open quotes; a backslash before a newline or at the end; NUL; a leading `NAME=value`; a
    reserved word first; a pattern that file names could turn into a program or an option (`*`, `-[e]xec`, but
    not `tests/*`).
    """
    found = _split(command) if len(command) <= LONGEST else None
    if not found:
        return None
    first = found[0]
    if not first.text or first.globbed or first.text in _RESERVED or _ASSIGNMENT.match(first.text):
        return None
    if any(word.globbed and (word.leads or word.text.startswith("-")) for word in found):
        return None
    return tuple(word.text for word in found)


def _split(command: str) -> list[_Word] | None:
    found: list[_Word] = []
    word: _Word | None = None
    place = 0
    while place < len(command):
        letter = command[place]
        if letter in " \t":
            word = None
            place += 1
            continue
        if word is None:
            word = _Word()
            found.append(word)
        if letter in "'\"\\":
            quoted = _quoted(command, place)
            if quoted is None:
                return None
            text, place = quoted
            word.text += text
            word.begun = True
            continue
        if letter in _METACHARACTERS or not (letter.isprintable() and not letter.isspace()):
            return None
        if letter == "#" and not word.begun:
            return None
        if letter in _GLOB:
            word.leads = word.leads or not word.text
            word.globbed = True
        word.text += letter
        word.begun = True
        place += 1
    return found


def _quoted(command: str, start: int) -> tuple[str, int] | None:
    """What a quote or backslash at `start` stands for, and where it goes on; None when it does not end."""
    if command[start] == "\\":
        text = command[start + 1 : start + 2]
        # An escaped `$` is harmless, but no command that a rule admits needs one.
        return None if text in ("", "\n", "\r", "\0", "$", "`") else (text, start + 2)
    if command[start] == "'":
        end = command.find("'", start + 1)
        text = command[start + 1 : end]
        return None if end < 0 or _odd(text) else (text, end + 1)
    return _double_quoted(command, start + 1)


def _double_quoted(command: str, place: int) -> tuple[str, int] | None:
    text = ""
    while place < len(command):
        letter = command[place]
        if letter == '"':
            return text, place + 1
        if letter in "$`" or _odd(letter):
            return None
        if letter == "\\":
            after = command[place + 1 : place + 2]
            if after in ("", "\n", "$", "`"):
                return None
            text += after if after in ('"', "\\") else letter + after
            if _odd(after):
                return None
            place += 2
            continue
        text += letter
        place += 1
    return None


def _odd(text: str) -> bool:
    """Control characters but newline and tab, and what UTF-8 cannot carry."""
    return any(
        (letter < " " and letter not in "\n\t") or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in text
    )
