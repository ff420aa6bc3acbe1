"""Where an API key comes from: the environment, a private file, or a command. It goes to the wire and nowhere else.

Invariant: a key is never logged, journaled, shown, put into a process argument or given to a tool.
"""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import ConfigError, MissingKey

KEY_PATIENCE = 30
"""Seconds a key command may take: it may ask for a password."""


def find_key(
    provider: str,
    variable: str,
    environment: Mapping[str, str],
    file: str | None = None,
    command: Sequence[str] = (),
) -> str:
    """The key of a provider: its variable, then its file, then the output of its command.

    Raises:
        MissingKey: none of them gives one.
        ConfigError: the file is readable by others, the command failed, or what was found cannot be a key.
    """
    if key := environment.get(variable, "").strip():
        return _checked(key, variable)
    if file:
        return _checked(_from_file(Path(file)), file)
    if command:
        return _checked(_from_command(command), f"`{command[0]}`")
    raise MissingKey(
        f"no API key for {provider}: set {variable}, or try `harness demo`, which needs neither key nor network"
    )


def _checked(key: str, source: str) -> str:
    """A key goes into a header: visible ASCII only. It is not shown, even where it cannot be one."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"what {source} gives is no API key: it has blanks, line breaks or other characters in it")
    return key


def _from_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        key = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"cannot read the key file {path}: {reason}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"the key file {path} can be read by others; run: chmod 600 {path}")
    if not key:
        raise ConfigError(f"the key file {path} is empty")
    return key


def _from_command(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=KEY_PATIENCE, check=True)
    except subprocess.CalledProcessError as error:
        # not what it printed: that may hold the key
        raise ConfigError(f"the key command `{command[0]}` failed with exit code {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"the key command `{command[0]}` took longer than {KEY_PATIENCE} s") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"the key command `{command[0]}` cannot be run: {error}") from error
    if key := done.stdout.strip():
        return key
    raise ConfigError(f"the key command `{command[0]}` printed nothing")
