"""The environment a command of the model gets: the person's, without secrets, and never interactive.

Invariant: no variable whose name or value is known to carry a credential is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_SECRET = re.compile(
    r"^(ANTHROPIC|OPENAI|CLAUDE_CODE|CODEX)_"
    r"|(^|_)(API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|SECRET|SECRET_?KEY|TOKEN|PASSPHRASE|PASSWD|PWD_?FILE|AUTH|DSN)$"
    r"|SECRET_|PASSWORD|CREDENTIAL|_TOKEN_|^AWS_(SECRET|SESSION|ACCESS)",
    re.IGNORECASE,
)

_STARTUP = frozenset({"BASH_ENV", "ENV", "PROMPT_COMMAND", "SHELLOPTS", "BASHOPTS", "PS4", "RIPGREP_CONFIG_PATH"})
"""What makes a shell read or run something before the command."""

_FIXED = {
    "TERM": "dumb",
    "NO_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "EDITOR": "true",
    "VISUAL": "true",
    "GIT_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS_REQUIRE": "never",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_INPUT": "1",
}
"""Nobody can answer: no colours, pagers, editors or prompts."""

_LEAST = 12
"""Characters from which a secret's value is looked for under other names; shorter ones are no keys."""


def names_secret(name: str) -> bool:
    """Whether a variable of that name is known to carry a credential."""
    return _SECRET.search(name) is not None


def secret_values(environ: Mapping[str, str], secrets: Collection[str] = ()) -> list[str]:
    """The values of `environ` that are credentials, by the names of their variables or by those in `secrets`."""
    found = (value for name, value in environ.items() if name in secrets or names_secret(name))
    # paths and addresses are no keys, and may well stand elsewhere
    return [value for value in found if len(value) >= _LEAST and not value.startswith(("/", "http"))]


def child_environment(environ: Mapping[str, str], secrets: Collection[str] = ()) -> dict[str, str]:
    """`environ` without secrets, plus what keeps programs from asking.

    secrets: names of further variables to leave out. A variable that contains the value of one left out is
    left out too.
    """
    dropped = {name for name in environ if name in secrets or names_secret(name)}
    values = secret_values(environ, secrets)
    kept = {
        name: value
        for name, value in environ.items()
        if name not in dropped and name not in _STARTUP and not any(secret in value for secret in values)
    }
    if "PATH" in kept:
        # A relative folder here would let a file of the workspace pass for a program.
        kept["PATH"] = ":".join(part for part in kept["PATH"].split(":") if part.startswith("/"))
    return kept | _FIXED
