"""The files of a session: saved before and after each turn that may change them, put back on demand.

Invariant: beside the loop, and never in its way: a snapshot that fails is told, and the turn goes on. Nothing may write
before the files are saved, and nothing of this is sent to a model.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from harness.agent.file_history import FileTurn
from harness.agent.rewind import turns
from harness.agent.session import Session
from harness.agent.tool_runner import Asker, Permit
from harness.conversation.canonical import digest
from harness.conversation.events import Event, Notice, Progress, TurnEnded
from harness.errors import SnapshotFailed, UsageError
from harness.tools.base import Wrote, nobody
from harness.tools.checkpoint import Changed, Report
from harness.workspace.listing import LeftOut, told
from harness.workspace.permissions import Subject
from harness.workspace.shadow import GitStuck, find_git
from harness.workspace.snapshots import Restored, Snapshots, Step, why_not

LONG = 0.5
"""Seconds of saving after which it is told."""
SAVING = "saving the files, so that they can be put back"
LISTED = 10
"""Turns that are listed for a model."""

_TREE = re.compile(rb'"(?:tree|before|after)":"([0-9a-f]{40,64})"')


@contextlib.contextmanager
def _told_if_long(asker: Asker) -> Iterator[None]:
    """What is done within is told once it takes long, for the first time it may; and that it is over."""
    told: list[Progress] = []

    def tell() -> None:
        told.append(Progress(asker.call_id, SAVING))
        asker.tell(told[0])

    later = asyncio.get_running_loop().call_later(LONG, tell)
    try:
        yield
    finally:
        later.cancel()
        if told:
            asker.tell(Progress(asker.call_id, ""))


@dataclass(frozen=True, slots=True)
class SnapshotStore:
    """Where snapshots are. snapshots: None where there are none, and `off` says why.

    state: the state folder; whatever journal in it names a snapshot keeps it.
    """

    snapshots: Snapshots | None
    state: Path
    off: str = ""
    quiet: bool = False
    """Whether nobody needs to be told that it is off: they asked for it."""


def open_store(root: Path, home: Path, state: Path, path_env: str) -> SnapshotStore:
    """The store of a workspace; one that is off where its files cannot be saved."""
    off, git = why_not(root, home, state, path_env), find_git(path_env, root)
    if off or git is None:
        return SnapshotStore(None, state, off)
    name = digest(os.fsencode(os.path.realpath(root)))[:24]
    return SnapshotStore(Snapshots(git, state / "snapshots" / name, root), state)


@dataclass(slots=True)
class _Turn:
    """The turn that runs. seq: of the person's words. saved: whether its beginning was."""

    seq: int | None = None
    asked: bool = False
    saved: bool = False


@dataclass(slots=True)
class Checkpoints:
    """The snapshots of one session. wrote: is told of the files that were put back."""

    session: Session
    store: SnapshotStore
    wrote: Wrote = nobody
    _turn: _Turn | None = None
    _notices: list[str] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)
    _pruning: asyncio.Task[None] | None = None
    _stuck: bool = False
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)

    # ------------------------------------------------------------------------------------------- saving

    def guard(self, permit: Permit) -> Permit:
        """The same permission; what it lets write waits until the files are saved."""

        async def guarded(tool: str, subject: Subject, asker: Asker) -> str:
            refusal = await permit(tool, subject, asker)
            if not refusal and subject.kind not in ("none", "read", "web"):
                with _told_if_long(asker):
                    async with self._saving:
                        await self._before()
            return refusal

        return guarded

    async def around(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """The events of a turn, its files saved around it; `TurnEnded` stays the last.

        A turn within a turn belongs to the outer one.
        """
        if self._turn is not None:
            async with aclosing(events):
                async for event in events:
                    yield event
            return
        self._turn, end = _Turn(), None
        try:
            async with aclosing(events):
                async for event in events:
                    if self._turn.seq is None:
                        self._turn.seq = self._last_words()
                    for text in self._taken():
                        yield Notice(text)
                    if isinstance(event, TurnEnded):
                        end = event
                    else:
                        yield event
        finally:
            try:
                await self._after()
            finally:
                self._turn = None  # or every later turn would count as one within this one, and none be saved
        for text in self._taken():
            yield Notice(text)
        if end is not None:
            yield end

    def _last_words(self) -> int | None:
        here = turns(self.session)
        return here[-1].seq if here else None

    async def _before(self) -> None:
        turn = self._turn
        if turn is None or turn.seq is None or turn.asked or self._stuck:
            return
        turn.asked = True
        if self.store.snapshots is None:
            if not self.store.quiet:
                self._say(f"the files are not saved, so no undo brings them back: {self.store.off}")
            return
        turn.saved = await self._save(self.store.snapshots, turn.seq, "before")

    async def _after(self) -> None:
        turn = self._turn
        if turn is None or turn.seq is None or not turn.saved or self.store.snapshots is None:
            return
        if self.session.journal.owned and await self._save(self.store.snapshots, turn.seq, "after"):
            self._prune(self.store.snapshots)

    async def _save(self, snapshots: Snapshots, seq: int, when: str) -> bool:
        try:
            snapshot = await snapshots.take(self._day)
        except SnapshotFailed as failure:
            self._stuck = isinstance(failure, GitStuck)
            what = "what this session changes from here on" if self._stuck else "what this turn changes"
            self._say(f"{what} in the files cannot be undone: {failure}")
            return False
        self._say_left_out(snapshot.left_out)
        left_out = told(snapshot.left_out)
        self.session.record("snapshot", {"turn": seq, "when": when, "tree": snapshot.tree, "left_out": left_out})
        return True

    def _say_left_out(self, left_out: Sequence[LeftOut]) -> None:
        new = [one for one in left_out if one.shown not in self._told]
        self._told.update(one.shown for one in new)
        if new:
            self._notices.append(f"not saved, so no undo brings it back: {', '.join(told(new, 5))}")

    def _say(self, text: str) -> None:
        """Once."""
        if text not in self._told:
            self._told.add(text)
            self._notices.append(text)

    def _taken(self) -> Sequence[str]:
        taken, self._notices = self._notices, []
        return taken

    @property
    def _day(self) -> str:
        return f"{self.session.seam.today():%Y%m%d}"

    # ------------------------------------------------------------------------------------------- putting back

    async def undo(self, turn: int) -> Restored | None:
        """Undo what one turn did to the files; None where it did nothing.

        Raises:
            SnapshotFailed: see `Snapshots.restore`.
        """
        return await self._undo("undo", "person", self.session.files.of(turn))

    async def rewind(self, turn: int) -> Restored | None:
        """Undo what that turn and later ones did to the files; None where they did nothing.

        Raises:
            SnapshotFailed: see `Snapshots.restore`.
        """
        return await self._undo("rewind", "person", self.session.files.since(turn))

    async def redo(self, turn: int | None) -> Restored | None:
        """Take the last undoing back, if it was of that turn (None: of any); None where there is nothing to redo.

        Raises:
            SnapshotFailed: see `Snapshots.restore`.
        """
        undone = self.session.files.undone
        if not undone or (turn is not None and all(one.turn != turn for one in undone[-1].turns)):
            return None
        again = [one.turn for one in undone[-1].turns]
        return await self._restore("redo", "person", again, [undone[-1].step])

    async def _undo(self, kind: str, by: str, done: Sequence[FileTurn]) -> Restored | None:
        if not done:
            return None
        return await self._restore(kind, by, [one.turn for one in done], [one.step for one in done])

    async def _restore(self, kind: str, by: str, about: Sequence[int], steps: Sequence[Step]) -> Restored:
        if self.store.snapshots is None:
            raise SnapshotFailed(f"no file was put back: {self.store.off}")
        what = {"kind": kind, "by": by, "turns": sorted(set(about))}

        async def begin(tree: str) -> None:
            self.session.record("restoring", {**what, "before": tree})
            await self.session.sync()

        restored = await self.store.snapshots.restore(steps, self._day, begin)
        root = self.store.snapshots.root
        await asyncio.to_thread(self.wrote, [root / os.fsdecode(path) for path in restored.changed])
        trees = {"before": restored.before.tree, "after": restored.after.tree}
        self.session.record("restored", {**what, "changed": len(restored.changed), **trees})
        return restored

    # ------------------------------------------------------------------------------------------- for the model

    async def listed(self) -> Sequence[Changed]:
        """The last turns that changed files, oldest first, the one that runs included.

        Raises:
            SnapshotFailed: there are no snapshots, or they cannot be read.
        """
        if (snapshots := self.store.snapshots) is None:
            raise SnapshotFailed(f"no file is saved: {self.store.off}")
        found: list[Changed] = []
        words = {turn.seq: turn.text for turn in self.session.history.turns()}
        for one in self.session.files.done[-LISTED:]:
            step = one.step
            if step.after is None:
                step = Step(step.before, (await snapshots.take(self._day)).tree)
            if paths := await snapshots.changed(step):
                found.append(Changed(one.turn, words.get(one.turn, ""), paths))
        return found

    async def undo_for_model(self, turn: int | None) -> Report:
        """Put files back as they were before a turn; by default the last that changed some.

        Raises:
            UsageError: no such turn changed files.
            SnapshotFailed: see `Snapshots.restore`.
        """
        done = self.session.files.done
        if turn is None and done:
            turn = (await self._last_with_changes()) or done[-1].turn
        chosen = () if turn is None else self.session.files.since(turn)
        if turn is None or turn not in {one.turn for one in chosen}:
            raise UsageError("no turn of that id changed files; list shows those that did")
        restored = await self._undo("undo", "model", chosen)
        assert restored is not None  # noqa: S101 - there are turns
        return Report(turn, restored)

    async def _last_with_changes(self) -> int | None:
        listed = await self.listed()
        return listed[-1].turn if listed else None

    async def redo_for_model(self) -> Report:
        """Take the model's last undo back.

        Raises:
            UsageError: there is none.
            SnapshotFailed: see `Snapshots.restore`.
        """
        if not self.session.files.by_model:
            raise UsageError("there is nothing to redo: no undo of yours is left")
        step = self.session.files.by_model[-1]
        return Report(None, await self._restore("redo", "model", [], [step]))

    # ------------------------------------------------------------------------------------------- pruning

    def _prune(self, snapshots: Snapshots) -> None:
        """In the background, at most once a day: remove what no journal names any more."""
        if self._pruning is None and snapshots.stale(self._day):
            self._pruning = asyncio.create_task(self._pruned(snapshots))

    async def _pruned(self, snapshots: Snapshots) -> None:
        try:
            needed = await asyncio.to_thread(lambda: set(_needed(self.store.state)))
        except OSError:
            return  # a journal that cannot be read names what nobody knows: nothing is removed, until it can be
        with contextlib.suppress(SnapshotFailed):  # tried again tomorrow
            await snapshots.prune(needed, self._day)

    async def close(self) -> None:
        """End what runs in the background."""
        if self._pruning is not None:
            self._pruning.cancel()
            await asyncio.gather(self._pruning, return_exceptions=True)


def _needed(state: Path) -> Iterator[str]:
    """The snapshots that any journal names, those of other workspaces and of deleted sessions in the trash too.

    Raises:
        OSError: a journal that is there cannot be read.
    """
    for path in state.rglob("journal.jsonl"):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            for line in file:
                if any(b'"kind":"%s"' % kind in line for kind in (b"snapshot", b"restoring", b"restored")):
                    yield from (found.decode() for found in _TREE.findall(line))
