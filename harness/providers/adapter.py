"""The version of the code that renders requests and decodes answers; made of that code, so nobody has to raise it.

Invariant: two versions are the same only where every source file that a wire is made of is the same.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from harness import __version__
from harness.conversation.canonical import digest

_PARTS = ("harness.providers", "harness.conversation")
"""All of both: a wire is made of most of their modules, and asking once too often costs less than a wrong answer."""


@cache
def version() -> str:
    """Twelve hex digits; of the program's number where it comes without its source."""
    files = (file for part in _PARTS for file in resources.files(part).iterdir())
    sources = sorted(digest(file.read_bytes()) for file in files if file.name.endswith(".py"))
    return digest(" ".join(sources or [__version__]).encode())[:12]
