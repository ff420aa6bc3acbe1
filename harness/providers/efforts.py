"""How hard each model of a session tries: what the person wants, and what each model's line was born with.

Invariant: a pure fold over records. A line keeps the effort that it was born with until an epoch ends it, so that its
whole prefix is read; what the person wants besides is told inside the conversation, or waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.conversation.lines import Record
from harness.providers.connect import effort_of

RENEWING = ("compaction", "clear", "refreeze")
"""Epochs after which everything is written anew: they give every line its effort anew."""


@dataclass(slots=True)
class Efforts:
    """wanted: by the person; None: the vendor's default. told: whether it was ever told inside the conversation."""

    wanted: str | None = None
    told: bool = False
    _born: dict[str, str | None] = field(default_factory=dict)

    def apply(self, record: Record) -> None:
        """Take one record in."""
        data = record.data
        match record.kind:
            case "session":
                self.wanted = data.get("effort")
            case "setting":
                self.wanted = data["effort"]
            case "message" if data["tag"] == "setting":
                self.told = True
            case "request":
                self._born.setdefault(data["model"], effort_of(data["settings"]))
            case "epoch":
                self.wanted = data.get("effort", self.wanted)
                if "model" in data:
                    self._born.pop(data["model"], None)
                elif "effort" in data or data["reason"].partition(":")[0] in RENEWING:
                    self._born.clear()
            case _:
                pass

    def born(self, model: str) -> bool:
        """Whether a request was sent to that model ("provider/name") in its epoch, which settles its line."""
        return model in self._born

    def of_line(self, model: str) -> str | None:
        """The effort in the settings of its line; of one that is not yet born, what it will be."""
        return self._born.get(model, self.wanted)
