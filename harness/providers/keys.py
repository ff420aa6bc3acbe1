"""Where an API key comes from: the environment, a private file, or a command. It goes to the wire and nowhere else.

Invariant: a key is never logged, journaled, shown, put into a process argument or given to a tool.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.errors import ConfigError, MissingKey

KEY_PATIENCE = 30.0
"""Seconds a key command may take: it may ask for a password."""

_LEAST = 8
"""Characters from which a key is looked for among variables; a shorter one is a placeholder."""


def find_key(
    provider: str,
    variable: str,
    environment: Mapping[str, str],
    file: str | None = None,
    command: Sequence[str] = (),
    patience: float = KEY_PATIENCE,
) -> str:
    """The key of a provider: its variable, its file, or the output of its command, which may take `patience` seconds.

    Raises:
        MissingKey: none of them gives one.
        ConfigError: the file is readable by others, the command failed, or what was found cannot be a key.
    """
    if key := environment.get(variable, "").strip():
        return _checked(key, variable)
    if file:
        return _checked(_from_file(Path(file)), file)
    if command:
        return _checked(_from_command(command, environment, patience), f"`{command[0]}`")
    raise MissingKey(
        f"no API key for {provider}: set {variable}, or try `harness demo`, which needs neither key nor network"
    )


def _checked(key: str, source: str) -> str:
    """A key goes into a header: visible ASCII only. It is not shown, even where it cannot be one."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"what {source} gives is no API key: it has blanks, line breaks or other characters in it")
    return key


def variables_to_hide(key: str, named: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that no tool may see: those that are named as a key's, and those that hold this key.

    The second, because a key's file or command may well repeat what stands under a name that says nothing of it.
    """
    holding = (name for name, value in environment.items() if len(key) >= _LEAST and key in value)
    return tuple(dict.fromkeys([*named, *holding]))


def _from_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        # a FIFO would be waited for without end
        if not stat.S_ISREG(mode):
            raise ConfigError(f"the key file {path} is not a regular file; put the key into one")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"the key file {path} can be read by others; run: chmod 600 {path}")
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the key file {path}: {error.strerror}") from error
    if not (key := _decoded(raw, f"the key file {path} holds")):
        raise ConfigError(f"the key file {path} is empty; put the key into it")
    return key


def _from_command(command: Sequence[str], environment: Mapping[str, str], patience: float) -> str:
    name = f"the key command `{command[0]}`"
    try:
        done = subprocess.run(
            list(command),
            env=dict(environment),
            # what is piped to us is a task, and not for it; a person at a terminal may be asked
            stdin=None if os.isatty(0) else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # not shown, not kept: it may hold the key
            stderr=subprocess.DEVNULL,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # without its cause, here and below: that carries what was printed so far
        raise ConfigError(f"{name} took longer than {patience:g} s; run it by hand to see why") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name} cannot be run: {reason}") from error
    if done.returncode:
        raise ConfigError(f"{name} failed with exit code {done.returncode}; run it by hand to see why")
    if not (key := _decoded(done.stdout, f"{name} printed")):
        raise ConfigError(f"{name} printed nothing; it has to print the key")
    return key


def _decoded(raw: bytes, what: str) -> str:
    text = raw.decode("utf-8", "replace").strip()
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ConfigError(f"{what} no API key: it is not UTF-8")
    return text
