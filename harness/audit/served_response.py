"""A cached response that met a request, as its response record names it: whose it was, and what it cost the first time.

Invariant: what was billed then is never added to what is billed now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.audit.report import clock, money, tokens
from harness.conversation.blocks import Usage
from harness.conversation.canonical import Json
from harness.conversation.stored import read_usage, write_usage


@dataclass(frozen=True, slots=True)
class ServedResponse:
    """key: of the answer. session, request, at: who asked first, in which record, and when (seconds since the epoch).

    usage, cost: as billed then; the cost (USD) is None where it was unknown.
    """

    key: str
    session: str
    request: int
    at: float
    usage: Usage
    cost: float | None

    @classmethod
    def of(cls, response: Mapping[str, Json]) -> ServedResponse | None:
        """That of a response record; None where a vendor was asked.

        Raises:
            KeyError, TypeError, ValueError: the record makes no sense.
        """
        if (data := response.get("cached")) is None:
            return None
        cost = None if data["cost"] is None else float(data["cost"])
        usage = read_usage(data["usage"])
        return cls(str(data["key"]), str(data["session"]), int(data["request"]), float(data["at"]), usage, cost)

    def to_json(self) -> dict[str, Any]:
        """The form that is journaled."""
        return asdict(self) | {"usage": write_usage(self.usage)}

    @property
    def origin(self) -> str:
        """Whose it was."""
        return f"answer of session {self.session}, record {self.request}, of {clock(self.at)}"

    @property
    def price(self) -> str:
        """What a vendor would have been asked and paid for."""
        return f"{tokens(self.usage.prompt)} tokens in, {tokens(self.usage.output)} out, {money(self.cost)}"
