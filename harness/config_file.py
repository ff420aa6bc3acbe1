"""A file of settings: its tables, and on which line each setting stands.

Invariant: whatever is wrong with a file is a ConfigError that names the file and the line.
"""

from __future__ import annotations

import difflib
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from harness.errors import ConfigError

_MAX_FILE_BYTES = 32 * 1024


def read_toml(path: Path, place: str) -> tuple[str, dict[str, Any]]:
    """The text and the tables of one file; an absent one is empty. Raises ConfigError, naming the line at fault."""
    text = _text_of(path, place)
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as bad:
        # The parser says "... (at line 3, column 5)" or "(at end of document)".
        at = re.search(r"\(at line (\d+)", str(bad))
        line = int(at[1]) if at else text.count("\n") + 1
        said = str(bad).partition(" (at ")[0]
        raise ConfigError(f"{place}:{line}: not valid TOML: {said}") from None
    except RecursionError:
        raise ConfigError(f"{place}:1: nested too deeply") from None


def _text_of(path: Path, place: str) -> str:
    try:
        # Type first: opening a FIFO would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{place}: not a regular file")
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read: {error.strerror}") from None
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError(f"{place}: larger than {_MAX_FILE_BYTES} bytes")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as bad:
        line = data.count(b"\n", 0, bad.start) + 1
        raise ConfigError(f"{place}:{line}: not UTF-8") from None


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """The line on which a setting begins, counted from 1.

    The parser gives no positions, so it is asked: the setting ends on the line that makes it appear, and
    begins after the last line before that at which the text still parsed (inside a value of several lines it
    does not).
    """
    lines = text.split("\n")
    begin = 1
    for end in range(1, len(lines) + 1):
        try:
            found: Any = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            return begin
        begin = end + 1
    return 1


def unknown_setting(where: str, name: str, known: list[str]) -> ConfigError:
    """The refusal of a key that nothing knows, with the nearest that something does."""
    # Someone who writes `ttl` at the top means `cache.ttl`.
    last = name.rpartition(".")[2]
    near = [full for full in known if full.rpartition(".")[2] == last] or difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
    return ConfigError(f"{where}: unknown setting `{name}`; {hint}")
