"""How the answers of a session ended, as the journal tells it: whether the model was done, or was cut off.

Invariant: a pure fold over the records of mainline requests; an answer whose record is damaged counts as
one that ended.
"""

from __future__ import annotations

from harness.conversation.history import kind_of
from harness.conversation.lines import Record

ENDED = frozenset({"", "end_turn", "stop_sequence", "refusal", "model_context_window_exceeded"})
"""The stop reasons after which a model does not go on where it was."""


class AnswerEnds:
    """refused: the last thing that came was a refusal, which is no part of the conversation.

    answers: since the person's last words.
    """

    def __init__(self) -> None:
        self.refused = False
        self.answers = 0
        self._request = -1
        self._stop = ""
        self._stops: dict[int, str] = {}

    def apply(self, record: Record) -> None:
        """Take one record in."""
        data = record.data
        match record.kind:
            case "request" if data["kind"] == "mainline":
                self._request, self._stop, self.refused = record.seq, "broken", False
            case "response" if data["request"] == self._request:
                self._stop, self.refused = data["stop"], data["stop"] == "refusal"
            case "message" if data["tag"] == "answer":
                self._stops[record.seq] = self._stop
                self.answers += 1
            case "epoch" if kind_of(data["reason"]) == "compaction":
                pass  # how the last turn ended is as it was
            case "message" | "epoch":
                self.refused = False
                if data.get("tag") == "person" and not data.get("steering"):
                    self.answers = 0
            case _:
                pass

    def cut(self, answer: int) -> bool:
        """Whether the answer of that record did not come to its end."""
        return self._stops.get(answer, "") not in ENDED
