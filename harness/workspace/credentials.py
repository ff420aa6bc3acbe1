"""What in a text looks like a credential: known forms, assignments to such names, and what this environment hides.

Invariant: tells that, never what; one that looks like nothing known is not found, so a person still has to look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.workspace.environment import names_secret, secret_values

_KNOWN = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"  # the beginning of a word, in JSON too
    r"(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{40,}|glpat-[\w-]{18,}|xox[abeprs]-[\w-]{20,}"
    r"|A(?:KIA|SIA)[A-Z0-9]{16}|AIza[\w-]{35}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|hf_[A-Za-z0-9]{30,}"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
    r"|-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY"
    r"|://[^\s/:@\"']{1,64}:[^\s/:@\"']{6,64}@"
)
_ASSIGNED = re.compile(
    r"(?<![\w-])([A-Za-z][\w-]{2,60})\\?[\"']?[ \t]{0,8}[=:][ \t]{0,8}\\?[\"']?(?:Bearer )?([\w+/.=~-]{12,})"
)
_NO_VALUE = re.compile(r"https?$|/|[^0-9]*$|[A-Za-z]+(?:[._][A-Za-z]\w*)+$")
"""Paths, what has no digit, and what reads like code (`os.environ`)."""


class Credentials:
    """Looks for credentials in texts. `environ`: the values of what is secret in it are found as well."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = secret_values(environ)

    def in_text(self, text: str) -> bool:
        """Whether something in it looks like one."""
        if _KNOWN.search(text) or any(value in text for value in self._values):
            return True
        pairs = (found.groups() for found in _ASSIGNED.finditer(text))
        return any(names_secret(name.replace("-", "_")) and not _NO_VALUE.match(value) for name, value in pairs)
