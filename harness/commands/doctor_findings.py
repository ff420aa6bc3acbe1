"""One line of `harness doctor`: what was looked at, how it stands, and what to do where it does not stand well.

Invariant: a finding that is not "ok" says what to do, unless there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.ui.plain import one_line

Status = Literal["ok", "note", "bad"]
MARKS: Mapping[Status, str] = {"ok": "✓", "note": "·", "bad": "✗"}
PLAIN_MARKS: Mapping[Status, str] = {"ok": "+", "note": "-", "bad": "x"}
"""For a terminal that cannot show the others, which is a thing that a doctor is asked about."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`todo` is empty where nothing needs to be done."""

    status: Status
    what: str
    text: str
    todo: str = ""

    def line(self, encoding: str | None) -> str:
        """As a person reads it, on a terminal of that encoding."""
        rest = f"{self.what}: {self.text}" + (f" → {self.todo}" if self.todo else "")
        try:
            "✓→…".encode(encoding or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return f"{PLAIN_MARKS[self.status]} {one_line(rest.replace('→', '->'))}"
        return f"{MARKS[self.status]} {one_line(rest)}"

    def to_json(self) -> dict[str, str]:
        """As a program reads it."""
        return {"status": self.status, "what": self.what, "text": self.text, "todo": self.todo}
