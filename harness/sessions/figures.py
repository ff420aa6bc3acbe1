"""The figures of a session, folded from its journal: what a list shows.

Invariant: a pure fold over records, whose state goes through JSON, so that a journal which has grown is read on from
where it was left; money and tokens are those that the session itself counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Usage
from harness.conversation.lines import Damage, Record
from harness.conversation.scan import Scan
from harness.conversation.stored import fetch, read_usage, write_usage
from harness.errors import JournalError

KINDS = frozenset({"session", "message", "epoch", "request", "response", "retry", "failed", "title", "subagent"})
_LONGEST_TITLE = 300
_NAMED_DAMAGE = 20


@dataclass(slots=True)
class Figures:
    """One session.

    id: its folder's name. given, first: the title that a person gave, and the beginning of the first words. cwd, root:
    "" where the beginning is lost. created, used: seconds since the epoch, 0 where nothing is known. cost: USD, None as
    soon as one price was unknown. damage: lines and reasons, the first ones; damaged: how many there are. parent: the
    session that it is a fork of.
    """

    id: str
    given: str = ""
    first: str = ""
    cwd: str = ""
    root: str = ""
    created: float = 0.0
    used: float = 0.0
    model: str = ""
    parent: str = ""
    turns: int = 0
    requests: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    """What it was billed, in the journal's form."""
    cost: float | None = 0.0
    damage: list[tuple[int, str]] = field(default_factory=list)
    damaged: int = 0

    @property
    def problems(self) -> list[str]:
        """What is wrong with it, a line each."""
        lines = [f"line {line} is damaged: {reason}" if line else reason for line, reason in self.damage]
        if self.damaged > len(lines):
            lines.append(f"and {self.damaged - len(lines)} more")
        return lines if self.root or lines else ["it ended before it began"]

    @property
    def title(self) -> str:
        """What it is called: one line, not escaped; "" where nothing was said."""
        return self.given or self.first

    @property
    def usage(self) -> Usage:
        """What it was billed."""
        return read_usage(self.tokens)

    def to_json(self) -> dict[str, Any]:
        """Its state."""
        return asdict(self)

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Figures:
        """The figures of a state."""
        damage = [(line, reason) for line, reason in value["damage"]]
        return cls(**{**value, "damage": damage})

    def read_on(self, scan: Scan, blobs: Blobs) -> None:
        """Take in what a scan of `KINDS` gives."""
        for found in scan:
            if isinstance(found, Damage):
                self.mar(found.line, found.reason)
                continue
            try:
                self._take(found, blobs)
            except (KeyError, TypeError, ValueError) as error:
                self.mar(0, f"record {found.seq} has a form that this version does not know ({error!r:.80})")

    def mar(self, line: int, reason: str) -> None:
        """Note a damage; line 0: of the session as a whole."""
        self.damaged += 1
        if len(self.damage) < _NAMED_DAMAGE:
            self.damage.append((line, reason))

    def _take(self, record: Record, blobs: Blobs) -> None:
        data = record.data
        if record.kind != "title":  # a rename is no use
            self.used = record.at
        match record.kind:
            case "session":
                self.cwd, self.root = str(data.get("cwd", "")), str(data.get("root", ""))
                self.created = record.at
            case "title":
                self.given = str(data["title"])
            case "message" if data["tag"] == "person":
                self.turns += not data.get("steering")
                self.first = self.first or self._beginning(data, blobs)
            case "epoch":
                self.parent = str(data.get("parent", self.parent))
            case "request":
                self.model = str(data["model"])
            case "response":
                self._bill(data)
            case "retry" if "usage" in data or "began" in data:
                self._bill(data)
            case "subagent":
                self._bill(data, int(data["requests"]))
            case "failed" if "began" in data:
                self._bill(data)
            case _:
                pass

    def _bill(self, data: Mapping[str, Any], requests: int = 1) -> None:
        self.requests += requests
        cost = data.get("cost")
        self.cost = None if self.cost is None or cost is None else self.cost + cost
        if "usage" in data:
            self.tokens = write_usage(self.usage + read_usage(data["usage"]))

    def _beginning(self, data: Mapping[str, Any], blobs: Blobs) -> str:
        try:
            texts = [fetch(block["text"], blobs) for block in data["blocks"] if block["is"] == "text"]
        except JournalError as error:
            self.mar(0, str(error))
            return ""
        return title_of(" ".join(texts))


def title_of(text: str) -> str:
    """A text as a title: one line, cut."""
    return " ".join(text[: 20 * _LONGEST_TITLE].split())[:_LONGEST_TITLE]
