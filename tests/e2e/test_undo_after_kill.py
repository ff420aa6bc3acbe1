"""A run that is killed in the middle of a command: what the command did is undone after a resume."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from harness.app import App
from harness.conversation.events import Question
from harness.options import Options
from harness.simulator import Simulator
from harness.workspace.snapshots import Restored
from tests.e2e.entry import ShiftedSeam
from tests.e2e.lab import Lab, Script, call
from tests.waiting import wait_for

Start = Callable[..., Simulator]


async def nobody(_question: Question) -> None:
    """Nobody is there."""


def undone(lab: Lab, *, say: str = "") -> Restored | None:
    """Resume the session, say something where there is something to say, and undo the first turn."""

    async def run() -> Restored | None:
        options = Options(lab.project, resume=lab.sessions()[0].name, permission_mode="yolo")
        app = App(options, ShiftedSeam(0, lab.environment(), lab.project), nobody)
        try:
            if say:
                async for _ in app.agent.turn(say):
                    pass
            first = next(turn for turn in app.session.history.turns())
            return await app.checkpoints.undo(first.seq)
        finally:
            await app.close()

    return asyncio.run(run())


def killed(lab: Lab, vendor: Start, *after: object) -> None:
    """A turn whose command rewrote and removed files when the run was killed."""
    vendor(Script([call("shell", command="echo 2 > a; rm b; touch ready; sleep 60")], *after))
    (lab.project / "a").write_text("1")
    (lab.project / "b").write_text("b")
    with lab.spawn("-p", "go", "--permission-mode", "yolo") as running:
        wait_for((lab.project / "ready").exists)
        running.kill()


def test_undone_at_once(lab: Lab, vendor: Start) -> None:
    killed(lab, vendor)
    restored = undone(lab)
    assert restored
    assert restored.changed == (b"a", b"b", b"ready")
    assert (lab.project / "a").read_text() == "1"
    assert (lab.project / "b").read_text() == "b"
    assert undone(lab) is None


def test_undone_after_another_turn_that_wrote(lab: Lab, vendor: Start) -> None:
    killed(lab, vendor, [call("shell", command="echo 3 > c")], "Done.")
    restored = undone(lab, say="go on")
    assert restored
    assert restored.changed == (b"a", b"b", b"ready")
    assert (lab.project / "c").read_text() == "3\n"
