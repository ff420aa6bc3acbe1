"""What a session's turns did to the files, as the journal tells it.

Invariant: a pure fold over `snapshot`, `restoring` and `restored` records, so a resumed session undoes the same.
Nothing of it is ever sent to a model.

    snapshot  {"turn": seq of the person's words, "when": "before" | "after", "tree": hash, "left_out": [text]}
    restoring {"kind": "undo" | "redo" | "rewind", "by": "person" | "model", "turns": [seq], "before": tree},
              on the disk before the first file is touched
    restored  the same, and {"after": tree, "changed": number}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.conversation.canonical import Json
from harness.conversation.lines import Record
from harness.workspace.snapshots import Step


@dataclass(frozen=True, slots=True)
class FileTurn:
    """A change of the files: the turn it belongs to, and the trees around it.

    after: None while it runs, or after a crash.
    """

    turn: int
    before: str
    after: str | None = None

    @property
    def step(self) -> Step:
        """As the snapshots know it."""
        return Step(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Undone:
    """What was undone: its turns, and the trees before and after the undoing."""

    turns: tuple[FileTurn, ...]
    step: Step


@dataclass(slots=True)
class FileHistory:
    """done: what holds now, oldest first. undone: what the person can redo, the next one last. by_model: likewise."""

    done: list[FileTurn] = field(default_factory=list)
    undone: list[Undone] = field(default_factory=list)
    by_model: list[Step] = field(default_factory=list)
    _begun: Mapping[str, Json] | None = None
    """The putting back that has no end: a crash or a full disk cut it off."""

    def apply(self, record: Record) -> None:
        """Take one record in."""
        data = record.data
        match record.kind:
            case "snapshot" if data["when"] == "before":
                if self.done and self.done[-1].after is None:
                    self._after(self.done[-1].turn, data["tree"])  # a crash: it ended where this begins
                self._begun = None  # what is there now is what the person goes on with
                self.done.append(FileTurn(data["turn"], data["tree"]))
                self.undone.clear()  # what is written from here on, redoing would overwrite
            case "snapshot":
                self._after(data["turn"], data["tree"])
            case "restoring" if not self._goes_on(data):
                self._begun = data
            case "restored":
                self._restored(data)
            case _:
                pass

    def _after(self, turn: int, tree: str) -> None:
        if not self.done or self.done[-1].turn != turn:
            return  # the record before it is damaged
        last = self.done.pop()
        if last.before != tree:
            self.done.append(replace(last, after=tree))

    def _goes_on(self, data: Mapping[str, Json]) -> bool:
        """Whether what was cut off is done once more."""
        one = self._begun
        return one is not None and all(one[name] == data[name] for name in ("kind", "by", "turns"))

    def warnings(self) -> list[str]:
        """What a person must know of the files' state, one line each; none where all is well."""
        if self._begun is None or self._begun["by"] != "person":
            return []
        kind = self._begun["kind"]
        return [f"/{kind} was cut off while it put files back: some are back, others are not; /{kind} again goes on"]

    def _restored(self, data: Mapping[str, Json]) -> None:
        # of one that was cut off, all of it can be redone: what it found is what its first part found
        begun = self._begun if self._begun is not None and self._goes_on(data) else data
        step, self._begun = Step(begun["before"], data["after"]), None
        match data["by"], data["kind"]:
            case "model", "redo":
                self.by_model = self.by_model[:-1]
            case "model", _:
                self.by_model.append(step)
            case _, "redo":
                self.done += self.undone.pop().turns if self.undone else ()
            case _:
                gone = tuple(one for one in self.done if one.turn in data["turns"])
                self.done = [one for one in self.done if one not in gone]
                self.undone.append(Undone(gone, step))

    def since(self, turn: int) -> tuple[FileTurn, ...]:
        """What holds now of that turn and later ones."""
        return tuple(one for one in self.done if one.turn >= turn)

    def of(self, turn: int) -> tuple[FileTurn, ...]:
        """What holds now of that turn."""
        return tuple(one for one in self.done if one.turn == turn)
