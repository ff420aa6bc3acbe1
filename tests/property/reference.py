"""What the conversation should be, kept by the test: a list of turns, and what going back and compacting do to it.

Invariant: it reads the journal's messages and nothing of what the client makes of them. What an epoch leaves is worked
out here first, and the journal's own record must say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Facts = tuple[Any, ...]
Frozen = tuple[int, int]
"""The when and the what of tools and system text: how often they were frozen before, and with which rules."""
State = tuple[str, int, Frozen]
"""The archive that a conversation's summary names, "" for none; how many session contexts it holds; its system."""
CONTEXT = "[Session context:"
SUMMARY = "[Summary of the conversation so far;"
ARCHIVE = re.compile(r"are in (\S+/archive/\d+\.md)\.")


@dataclass(frozen=True)
class Piece:
    """One message. seq: its record. text: of its first block, as far as it stands in the journal itself."""

    seq: int
    tag: str
    blocks: tuple[str, ...]
    text: str
    thinks: bool = False

    @property
    def kept(self) -> tuple[str, tuple[str, ...]] | None:
        """What a compaction keeps of it: no thinking, and nothing of what is told anew."""
        blocks = tuple(block for block in self.blocks if '"thinking"' not in block[:20])
        return (self.tag, blocks) if blocks and self.tag not in ("system_injected", "setting") else None


@dataclass(frozen=True)
class Turn:
    """What a person said and what came of it.

    number: the record of their words; -1 for what a compaction put in the place of earlier turns. facts: that were told
    with it. whole: whether it begins with the words; a compaction may keep its end alone.
    """

    number: int
    pieces: tuple[Piece, ...]
    facts: Facts | None = None
    whole: bool = True


Turns = tuple[Turn, ...]


@dataclass
class Reference:
    """One session's conversation now, and all that it was. undone: each with what the caller wants back at a redo."""

    turns: Turns = ()
    frozen: Frozen = (0, 0)
    past: list[tuple[Turns, Frozen]] = field(default_factory=list)
    undone: list[tuple[Turns, Frozen, Turns, Any]] = field(default_factory=list)
    compacted: Turns = ()
    """Of a compacted conversation, the turns that the compaction replaced."""
    states: list[State] = field(default_factory=list)
    """Of the last step: as it began, then after each compaction."""
    folded: int = -1
    """The last record that was taken in."""

    def copy(self) -> Reference:
        return replace(self, past=list(self.past), undone=list(self.undone), states=list(self.states))

    # ------------------------------------------------------------------------------------------------- as it is

    @property
    def pieces(self) -> list[Piece]:
        return [piece for turn in self.turns for piece in turn.pieces]

    @property
    def seqs(self) -> list[int]:
        return [piece.seq for piece in self.pieces]

    @property
    def told(self) -> Facts | None:
        """The facts as the model last heard them."""
        return next((turn.facts for turn in reversed(self.turns) if turn.facts is not None), None)

    @property
    def contexts(self) -> int:
        return sum(piece.text.startswith(CONTEXT) for piece in self.pieces)

    @property
    def _state(self) -> State:
        summary = next((archive_of(piece.text) for piece in self.pieces if piece.text.startswith(SUMMARY)), "")
        return summary, self.contexts, self.frozen

    @property
    def known(self) -> list[int]:
        """Every turn that is or was part of the conversation, oldest first."""
        return sorted(
            {turn.number for turns in (*(past for past, _ in self.past), self.turns) for turn in turns if turn.whole}
        )

    @property
    def last(self) -> int | None:
        """The turn that an undo takes; of a compacted conversation, also what the compaction took."""
        here = (*self.compacted, *self.turns)
        return max((turn.number for turn in here if turn.whole), default=None)

    # ------------------------------------------------------------------------------------------------- epochs

    def rewind(self, number: int) -> None:
        """To before a turn, in the latest conversation that had it."""
        for turns, frozen in ((self.turns, self.frozen), *reversed(self.past)):
            places = [place for place, turn in enumerate(turns) if turn.whole and turn.number == number]
            if places:
                self._replace(turns[: places[0]], frozen)
                return
        raise AssertionError(f"there is no turn {number}")

    def undo(self, extra: Any) -> None:
        left, number = (self.turns, self.frozen, self.compacted, extra), self.last
        assert number is not None
        undone = [*self.undone, left]
        self.rewind(number)
        self.undone = undone

    def redo(self) -> Any:
        (turns, frozen, compacted, extra), *earlier = reversed(self.undone)
        self._replace(turns, frozen)
        self.undone, self.compacted = earlier[::-1], compacted
        return extra

    def clear(self, rule: int) -> None:
        self._replace((), self._anew(rule))

    def _anew(self, rule: int) -> Frozen:
        return max(frozen[0] for frozen in (self.frozen, *(past for _, past in self.past))) + 1, rule

    def _replace(self, turns: Turns, frozen: Frozen) -> None:
        self.past.append((self.turns, self.frozen))
        self.turns, self.frozen, self.undone, self.compacted = turns, frozen, [], ()

    # ------------------------------------------------------------------------------------------------- the journal

    def fold(self, records: Iterable[Mapping[str, Any]], facts: Facts | None, rule: int) -> int:
        """Take in what a step wrote; gives how many compactions there were.

        Args:
            facts: what a turn that began, or a summary, must tell; None where nothing may begin.
            rule: the rules that a compaction freezes.
        """
        kept: dict[int, Piece] = {}
        before: list[Piece] = []
        compactions = 0
        self.states = [self._state]
        for record in records:
            if record["seq"] <= self.folded:
                continue
            self.folded, data = record["seq"], record["data"]
            match record["kind"]:
                case "message" if data["tag"] == "system_injected":
                    before.append(_piece(record))
                case "message" if data["tag"] == "person" and not data.get("steering"):
                    self._begin((*before, _piece(record)), facts)
                    before = []
                    self.states[-1] = self._state
                case "message":
                    self._goes_on((*before, _piece(record)), facts)
                    before = []
                case "kept":
                    kept[record["seq"]] = _piece(record)
                case "epoch" if data["reason"].startswith("compaction"):
                    self._compact([kept[seq] for seq in data["messages"]], facts, rule)
                    compactions += 1
                    self.states.append(self._state)
                case "epoch" if "messages" in data:
                    assert data["messages"] == self.seqs, f"{data['reason']}: {data['messages']}, not {self.seqs}"
                case _:
                    pass
        assert not before
        return compactions

    def _begin(self, pieces: tuple[Piece, ...], facts: Facts | None) -> None:
        assert facts is not None, "a turn began by itself"
        told = [piece for piece in pieces if piece.text.startswith(CONTEXT)]
        assert len(told) == (facts != self.told), f"told {told}; the model knew {self.told}, now it is {facts}"
        self.undone = []
        self.turns = (*self.turns, Turn(pieces[-1].seq, pieces, facts if told else None))

    def _goes_on(self, pieces: tuple[Piece, ...], facts: Facts | None) -> None:
        """More of a turn. Where it goes on after it was cut off, what changed is told before words of ours."""
        *rest, last = self.turns
        told = facts if len(pieces) > 1 else last.facts
        if len(pieces) > 1:
            assert pieces[-1].tag == "program", "something stands between what was told and the words behind it"
            assert [piece.text.startswith(CONTEXT) for piece in pieces[:-1]] == [True], pieces
            assert facts not in (None, self.told), "what the model knew was told again"
        self.turns = (*rest, replace(last, pieces=(*last.pieces, *pieces), facts=told))
        self.states[-1] = self._state

    def _compact(self, new: Sequence[Piece], facts: Facts | None, rule: int) -> None:
        """Context, summary, and a tail of what there was, without thinking."""
        context, summary, *tail = new
        assert facts is not None
        assert context.text.startswith(CONTEXT)
        assert summary.text.startswith(SUMMARY)
        assert summary.tag == "program"
        assert not any(piece.thinks for piece in new), "thinking outlived a compaction"
        old = [(turn, piece) for turn in self.turns for piece in turn.pieces if piece.kept]
        old = old[len(old) - len(tail) :]
        assert [piece.kept for _, piece in old] == [piece.kept for piece in tail], "what stays is no tail"
        assert not tail or tail[0].tag != "results", "a result was parted from its call"
        assert not any(piece.text.startswith(SUMMARY) for piece in tail), "a summary of a summary's turn stays"
        turns = [Turn(-1, (context, summary), facts, whole=False)]
        for (turn, was), piece in zip(old, tail, strict=True):
            if turns[-1].number == turn.number:
                turns[-1] = replace(turns[-1], pieces=(*turns[-1].pieces, piece))
            else:
                turns.append(Turn(turn.number, (piece,), None, whole=turn.whole and _begins(turn, was)))
        replaced = self.turns
        self._replace(tuple(turns), self._anew(rule))
        self.compacted = replaced


def archive_of(text: str) -> str:
    """The archive that a summary names."""
    found = ARCHIVE.search(text)
    return found[1] if found else ""


def _begins(turn: Turn, piece: Piece) -> bool:
    return piece.seq == next(one.seq for one in turn.pieces if one.tag == "person")


def _piece(record: Mapping[str, Any]) -> Piece:
    data = record["data"]
    first = data["blocks"][0]
    text = first.get("text", "") if first["is"] == "text" else ""
    blocks = tuple(_told(block) for block in data["blocks"])
    thinks = any(block["is"] == "thinking" for block in data["blocks"])
    return Piece(record["seq"], data["tag"], blocks, text if isinstance(text, str) else "", thinks)


def _told(block: Mapping[str, Any]) -> str:
    return f'"{block["is"]}" {sorted(block.items())}'
