"""The model requests of a session and what they were billed, as the journal tells it.

Invariant: a pure fold over records. What a request was billed counts as soon as an attempt began, whether it was
answered to its end or not; a bill whose request is lost counts in no ledger.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.audit.ledger import Ledger, apply_bill, was_cached
from harness.audit.verdict import Sent
from harness.conversation.canonical import Json
from harness.conversation.history import History
from harness.conversation.lines import Record
from harness.conversation.stored import read_usage


class Requests:
    """Takes in each record behind `history`, which it reads.

    sent: by line, its last mainline request, and the epoch (their number, from 0) that this was sent in.
    """

    def __init__(self, history: History) -> None:
        self.ledger = Ledger()
        self.own = Ledger()
        """What this session's own bills tell; `ledger` may hold those of relatives too."""
        self.sent: dict[str, tuple[Sent, int]] = {}
        self.last: Mapping[str, Json] = {}
        """The journaled form of the last mainline request, on whatever line."""
        self.last_model = ""
        self.last_answer = 0
        """The record of the last answer."""
        self.last_prompt = 0
        self.prompts: list[int] = []
        """Prompt tokens of each mainline request since the conversation was last replaced."""
        self.replaced = ""
        """Why it was; "" where it never was."""
        self._history = history
        self._prompt_at: dict[int, int] = {}
        self._unanswered: dict[int, Mapping[str, Json]] = {}

    def apply(self, record: Record) -> None:
        """Take one record in."""
        data = record.data
        match record.kind:
            case "message" if data["tag"] == "answer":
                self.last_answer = record.seq
                self._prompt_at[record.seq] = self.last_prompt
            case "epoch" if "messages" in data:
                answers = (e.seq for e in reversed(self._history.entries) if e.message.tag == "answer")
                # what the next prompt will hold at least; 0 where no bill tells
                self.last_prompt = next((self._prompt_at.get(seq, 0) for seq in answers), 0)
                self.prompts, self.replaced = [], data["reason"]
            case "request":
                self._unanswered[record.seq] = data
                self.last_model = data["model"]
                self.last = data if data["kind"] == "mainline" else self.last
            case "response":
                self._billed(self._unanswered.pop(data["request"], None), data)
            case "retry" if "usage" in data or "began" in data:
                self._billed(self._unanswered.get(data["request"]), data)
            case "failed":
                request = self._unanswered.pop(data["request"], None)
                if "began" in data:
                    self._billed(request, data)
            case _:
                pass

    def _billed(self, request: Mapping[str, Json] | None, bill: Mapping[str, Json]) -> None:
        """Take in what an attempt was billed that began, whether it was answered to the end or not."""
        if request is None:
            return  # its line in the journal is damaged
        usage = read_usage(bill["usage"]) if "usage" in bill else None
        if served := bill.get("cached"):
            # no vendor saw it; what it was billed the first time tells how long the conversation is
            usage = read_usage(served["usage"])
        apply_bill(self.ledger, request, bill)
        apply_bill(self.own, request, bill)
        if request["kind"] == "mainline" and not served:
            cached = usage is None or bool(usage.read or usage.written or was_cached(request, usage))
            told = (bill["request"], bill.get("message_id", ""))
            sent = Sent(request["blocks"], request["head"], cached, request["messages"], *told)
            self.sent[request["line"]] = (sent, request["epoch"])
        if request["kind"] == "mainline":
            self.last_prompt = usage.prompt + usage.output if usage else self.last_prompt
            self.prompts += [usage.prompt] if usage else []
