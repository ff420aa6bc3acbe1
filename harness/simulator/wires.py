"""What the vendor needs of a wire: accept a request, speak the answer, word an error.

Invariant: the vendor knows no wire's form, and a wire holds no state; what a wire accepted carries everything
that the rest needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.simulator.answers import Answer
from harness.simulator.contracts import Bill, Contract
from harness.simulator.faults import Dialect, Event, Fault
from harness.simulator.records import Block, Received, Refused
from harness.simulator.rules import Rules


@dataclass(frozen=True, slots=True)
class Spoken:
    """One answer on a wire."""

    id: str
    usage: dict[str, Any]
    message: dict[str, Any]
    """The whole answer as one JSON object."""
    events: Callable[[], Sequence[Event]]
    """The answer as events."""
    dialect: Dialect
    outputs: tuple[tuple[Block, ...], ...] = ()
    """Blocks of the answer in the forms in which a client may send it back."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What `Accepted.speak` gets."""

    answer: Answer
    body: bytes
    bill: Bill
    at: float
    """Clock seconds at which the request arrived."""
    earlier: Received | None = None
    """The request named for comparison, when it is known."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that a wire has checked and understood."""

    model: str
    blocks: tuple[Block, ...] = field(repr=False)
    line: str
    total: int
    contract: Contract
    prompt: Any = field(repr=False)
    """The form that the contract's book takes: `Prompt` or `Text`."""
    stream: bool
    speak: Callable[[Speech], Spoken] = field(repr=False)
    silent: bool = False
    """A pre-warming request: no answer is made."""
    compare_with: str | None = None
    """Id of an earlier answer that this one is to be compared with."""
    effort: str | None = None
    """The effort in force for the answer; None: the model's default."""
    limits: tuple[tuple[int, str], ...] = ()
    """Tokens that the answer may have, and the stop reason (in the script's form) of one that ends there."""


class Wire(Protocol):
    """One wire."""

    name: str
    id_header: str
    """Name of the response header that carries the request id."""

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Refuse what is wrong before the body is read."""

    def accept(self, request: dict[str, Any], headers: Mapping[str, str], rules: Rules, workspace: str) -> Accepted:
        """Check and understand a request; Refused says what the vendor says."""

    def no_key(self, key: str) -> Refused:
        """The refusal of a missing ("") or wrong key."""

    def error(self, refused: Refused, request_id: str) -> bytes:
        """The body of a refusal."""

    def struck(self, fault: Fault) -> Refused:
        """The refusal that a status fault pretends to be."""
