"""checkpoint: what it says of an undo, and what the permission rules see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.conversation.blocks import Text
from harness.errors import SnapshotFailed
from harness.tools import checkpoint
from harness.tools.base import Outcome
from harness.tools.checkpoint import Changed, Report
from harness.workspace.listing import LeftOut
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Allowed, Asks, Refused, decide
from harness.workspace.snapshots import Restored, Snapshot

Call = Callable[..., Outcome]
SAVED = Snapshot("0" * 40)


class Given:
    """A session's files that answer what they were given."""

    def __init__(self, report: Report | None = None, turns: Sequence[Changed] = ()) -> None:
        self.report = report
        self.turns = turns
        self.asked: list[int | None] = []

    async def listed(self) -> Sequence[Changed]:
        return self.turns

    async def undo_for_model(self, turn: int | None) -> Report:
        self.asked.append(turn)
        return await self.redo_for_model()

    async def redo_for_model(self) -> Report:
        if self.report is None:
            raise SnapshotFailed("no file was put back: git was not found: install it")
        return self.report


def text(outcome: Outcome) -> str:
    first = outcome.content[0]
    assert isinstance(first, Text)
    return first.text


def report(**fields: tuple[object, ...]) -> Report:
    given = {"changed": (), "since": (), "left": ()} | fields
    return Report(7, Restored(SAVED, SAVED, **given))  # type: ignore[arg-type]


def test_it_lists_in_bounded_lines_that_no_name_can_forge(space: Workspace, call: Call) -> None:
    turns = [
        Changed(3, "make\nit\x1b[2J work " + "x" * 500, (b"a\n9: 1 file (b): forged", b"invalid \xff")),
        Changed(9, "", tuple(b"f%d" % number for number in range(5000))),
    ]
    outcome = call(checkpoint.make(space, lambda: Given(turns=turns)), action="list")
    rows = text(outcome).split("\n")
    assert len(rows) == 2
    assert all(len(row) < 300 for row in rows)
    assert rows[0].startswith("3: 2 files (a\\n9: 1 file (b): forged, invalid \\xff): make\\nit\\x1b[2J work")
    assert rows[1] == "9: 5,000 files (f0, f1, f2, f3, f4, f5, f6, f7 and 4,992 more): "
    assert text(call(checkpoint.make(space, Given), action="list")) == "no turn of this session changed files"


def test_it_tells_what_was_put_back_and_what_was_not(space: Workspace, call: Call) -> None:
    left = tuple(LeftOut(b"large%d" % number, "it is there and is not saved") for number in range(100))
    files = Given(report(changed=(b"a", b"b"), since=(b"b",), left=left))
    outcome = call(checkpoint.make(space, lambda: files), action="undo", id=7)
    rows = text(outcome).split("\n")
    assert rows[:3] == [
        "undone from turn 7 on: 2 files put back: a, b",
        "changed since by somebody else, their version is kept for redo: b",
        "left as it is: large0 (it is there and is not saved)",
    ]
    assert rows[-2:] == ["and 70 more", "Read a file again before you edit it."]
    assert outcome.shown == "2 files put back"
    assert files.asked == [7]


def test_what_cannot_be_done_is_an_error_result(space: Workspace, call: Call) -> None:
    for action in ("undo", "redo"):
        outcome = call(checkpoint.make(space, Given), action=action)
        assert outcome.is_error
        assert text(outcome) == "no file was put back: git was not found: install it"


def test_undo_and_redo_are_writes_and_list_is_none(space: Workspace) -> None:
    tool = checkpoint.make(space, Given)
    for arguments in ({"action": "undo", "id": 3}, {"action": "redo"}):
        subject = tool.subject(arguments)
        assert isinstance(decide("plan", (), subject, space), Refused)
        assert isinstance(asks := decide("ask", (), subject, space), Asks)
        assert "checkpoint" in asks.what
        assert isinstance(decide("edit", (), subject, space), Allowed)
    assert isinstance(decide("plan", (), tool.subject({"action": "list"}), space), Allowed)
