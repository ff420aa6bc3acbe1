"""Turns in a real session over HTTP: what is saved around them, what is undone, and that nothing of it is sent."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from harness.agent import rewind
from harness.agent.file_history import FileHistory
from harness.conversation.events import Event, Notice, ToolFinished, ToolStarted, TurnEnded
from harness.conversation.lines import Record
from harness.errors import StorageFull
from harness.workspace.snapshots import Restored
from tests.speaker import Script, Speaker

Begin = Callable[..., Speaker]


def call(name: str, **arguments: Any) -> list[Any]:
    return [{"call": name, "input": arguments}]


def shell(command: str) -> list[Any]:
    return call("shell", command=command)


def snapshots(person: Speaker) -> list[tuple[int, str]]:
    return [(record.data["turn"], record.data["when"]) for record in person.records("snapshot")]


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def undo(person: Speaker, turn: int) -> Restored | None:
    return person._runner.run(person.app.checkpoints.undo(turn))


def redo(person: Speaker) -> Restored | None:
    return person._runner.run(person.app.checkpoints.redo(None))


def turns(person: Speaker) -> list[int]:
    return [record.seq for record in person.records("message") if record.data["tag"] == "person"]


def results(person: Speaker) -> list[str]:
    """The texts of all tool results that the model was sent, in order."""
    body = json.loads(person.mainline[-1].body)
    return [
        "".join(part["text"] for part in block["content"])
        for message in body["messages"]
        for block in message["content"]
        if block["type"] == "tool_result"
    ]


@pytest.fixture
def yolo(speaker: Begin) -> Callable[..., Speaker]:
    """A session in which everything may run."""

    def begin(*answers: Any) -> Speaker:
        person = speaker(Script(*answers))
        person.come_back(permission_mode="yolo")
        return person

    return begin


def test_what_shell_did_is_undone_and_redone(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("rm -rf src; echo two > kept; mkdir new; echo n > new/file"), "Done.")
    (person.project / "src").mkdir()
    (person.project / "src/untracked.py").write_text("mine")
    (person.project / "kept").write_text("one")

    person.say("clean up")
    [turn] = turns(person)
    assert snapshots(person) == [(turn, "before"), (turn, "after")]
    assert not (person.project / "src").exists()

    restored = undo(person, turn)
    assert restored
    assert restored.changed == (b"kept", b"new/file", b"src/untracked.py")
    assert (person.project / "src/untracked.py").read_text() == "mine"
    assert (person.project / "kept").read_text() == "one"
    assert not (person.project / "new").exists()
    assert undo(person, turn) is None  # once

    redone = redo(person)
    assert redone
    assert redone.changed == restored.changed
    assert (person.project / "kept").read_text() == "two\n"
    assert redo(person) is None


def test_a_resumed_session_undoes_the_same(yolo: Callable[..., Speaker]) -> None:
    person = yolo(call("write", path="a", content="1"), "Done.")
    person.say("write")
    person.come_back()
    restored = undo(person, turns(person)[0])
    assert restored
    assert restored.changed == (b"a",)
    person.come_back()
    assert undo(person, turns(person)[0]) is None
    assert redo(person)
    assert (person.project / "a").read_text() == "1"


def test_a_turn_that_only_reads_saves_nothing(speaker: Begin) -> None:
    person = speaker(Script(call("read", path="a"), "It says 1."))
    (person.project / "a").write_text("1")
    person.say("what does it say?")
    assert snapshots(person) == []
    assert not (person.app.checkpoints.store.state / "snapshots").exists()


def test_a_refused_call_saves_nothing(speaker: Begin) -> None:
    person = speaker(Script(shell("rm -rf /"), "Refused."))
    person.say("try")
    assert snapshots(person) == []


@pytest.mark.moves_prefix("a second session begins with the same words")
def test_nothing_of_it_is_sent(yolo: Callable[..., Speaker]) -> None:
    person = yolo(call("write", path="a", content="1"), "Done.", "Yes.")
    bodies: list[list[Any]] = []
    for saved in (2, 0):
        before = len(person.mainline)
        person.say("write")
        undone = undo(person, turns(person)[-1])
        assert bool(undone) == bool(saved)
        person.say("and?")
        assert len(snapshots(person)) == saved
        bodies.append([received.json["messages"] for received in person.mainline[before:]])
        (person.project / "a").unlink(missing_ok=True)
        (person.project.parent / "home/.config/harness/config.toml").write_text("[snapshots]\nenabled = false\n")
        person.begin_anew()
        person.come_back(permission_mode="yolo")
    assert len(bodies[0]) == 3
    assert bodies[0] == bodies[1]


def test_the_files_are_saved_before_anything_writes_also_side_by_side(yolo: Callable[..., Speaker]) -> None:
    person = yolo([*call("read", path="a"), *shell("echo 2 > a"), *shell("echo 3 > a")], "Done.")
    (person.project / "a").write_text("1")
    person.say("write")
    assert [when for _, when in snapshots(person)] == ["before", "after"]
    kinds = [record.kind for record in person.app.session.journal.records()]
    assert kinds.index("snapshot") < kinds.index("intent")
    assert undo(person, turns(person)[0])
    assert (person.project / "a").read_text() == "1"


def test_an_interrupted_turn_can_be_undone(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("echo 2 > a; sleep 30"), "Done.")
    (person.project / "a").write_text("1")

    async def interrupted() -> None:
        async def turn() -> None:
            async for event in person.app.agent.turn("write"):
                if isinstance(event, ToolStarted):
                    started.set()

        started = asyncio.Event()
        running = asyncio.create_task(turn())
        await started.wait()
        while (person.project / "a").read_text() != "2\n":  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    person._runner.run(interrupted())
    assert [when for _, when in snapshots(person)] == ["before", "after"]
    assert undo(person, turns(person)[0])
    assert (person.project / "a").read_text() == "1"


def test_a_listener_that_goes_away_leaves_a_whole_step(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("echo 2 > a"), shell("echo 3 > a"), "Done.")
    person.say("write", until=lambda event: isinstance(event, ToolStarted))
    assert [when for _, when in snapshots(person)] == ["before", "after"]


def test_a_turn_within_a_turn_belongs_to_the_outer_one(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("echo 2 > a"), shell("echo 3 > a"), "Done.")
    checkpoints = person.app.checkpoints

    async def nested() -> list[Event]:
        async with aclosing(checkpoints.around(person.app.agent.turn("go"))) as events:
            return [event async for event in events]

    assert isinstance(person._runner.run(nested())[-1], TurnEnded)
    assert [when for _, when in snapshots(person)] == ["before", "after"]


def test_the_person_s_own_changes_are_told_and_kept(yolo: Callable[..., Speaker]) -> None:
    person = yolo(call("write", path="a", content="1"), "Done.", "Yes.")
    person.say("write")
    (person.project / "a").write_text("mine")
    (person.project / "b").write_text("mine too")
    restored = undo(person, turns(person)[0])
    assert restored
    assert restored.since == (b"a",)
    assert (person.project / "b").exists()
    assert redo(person)
    assert (person.project / "a").read_text() == "mine"


def test_rewinding_the_files_leaves_what_came_before_that_turn(yolo: Callable[..., Speaker]) -> None:
    person = yolo(
        shell("echo 1 > a"), "Done.", shell("echo 2 > a; echo 2 > b"), "Done.", "No.", shell("echo 3 > b"), "Done."
    )
    for words in ("one", "two", "three", "four"):
        person.say(words)
    _, second, *_ = turns(person)
    restored = person._runner.run(person.app.checkpoints.rewind(second))
    assert restored
    assert restored.changed == (b"a", b"b")
    assert (person.project / "a").read_text() == "1\n"
    assert not (person.project / "b").exists()
    assert redo(person)
    assert (person.project / "b").read_text() == "3\n"


def test_what_is_not_saved_is_told_once_and_in_the_turn(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("true"), "Done.", shell("true"), "Done.")
    with (person.project / "large").open("wb") as file:
        file.truncate(11 * 1024 * 1024)
    events = person.say("one")
    assert notices(events) == ["not saved, so no undo brings it back: large (larger than 10 MB)"]
    assert isinstance(events[-1], TurnEnded)
    assert notices(person.say("two")) == []
    assert next(person.records("snapshot")).data["left_out"] == ["large (larger than 10 MB)"]


def test_where_files_cannot_be_saved_the_turn_goes_on_and_it_is_said_once(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("echo 1 > a"), "Done.", shell("echo 2 > a"), "Done.")
    store = person.app.checkpoints.store.state / "snapshots"
    store.write_text("in the way")
    [told] = notices(person.say("one"))
    assert told.startswith("what this turn changes in the files cannot be undone: cannot write ")
    assert (person.project / "a").read_text() == "1\n"
    assert notices(person.say("two")) == []
    assert snapshots(person) == []


def test_in_the_home_folder_it_is_off_and_said_once(speaker: Begin, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    person = speaker(Script(shell("echo 1 > a"), "Done.", shell("true"), "Done."))
    person.leave()
    person.come_back(cwd=home, permission_mode="yolo")
    [told] = notices(person.say("one"))
    assert told.startswith("the files are not saved, so no undo brings them back: the workspace is the home folder")
    assert notices(person.say("two")) == []


def test_without_a_session_nothing_is_saved(speaker: Begin) -> None:
    person = speaker(Script(call("write", path="a", content="1"), call("checkpoint", action="undo"), "Done."))
    person.leave()
    person.app = person._open(person.options.__class__(cwd=person.project, model=person.options.model, no_session=True))
    assert notices(person.say("write")) == []
    assert not (person.app.checkpoints.store.state / "snapshots").exists()
    assert results(person)[1] == "no turn of that id changed files; list shows those that did"


# ------------------------------------------------------------------------------------------------- for the model


def test_the_model_lists_undoes_and_redoes_and_edits_nothing_it_did_not_see(yolo: Callable[..., Speaker]) -> None:
    edit = call("edit", path="a", old="two", new="three")
    person = yolo(
        call("write", path="a", content="one"),
        "Done.",
        shell("echo two > a; rm b"),
        call("read", path="a"),
        call("checkpoint", action="list"),
        call("checkpoint", action="undo"),
        edit,
        call("edit", path="a", old="one", new="three"),
        call("checkpoint", action="undo"),
        call("checkpoint", action="redo"),
        edit,
        "Done.",
    )
    (person.project / "b").write_text("b")
    person.say("write it")
    person.say("go on")

    first, second = turns(person)
    texts = results(person)
    assert texts[3] == f"{first}: 1 file (a): write it\n{second}: 2 files (a, b): go on"
    assert texts[4] == (f"undone from turn {second} on: 2 files put back: a, b\nRead a file again before you edit it.")
    # What it saw last is not what is there, whether or not the words would match.
    assert texts[5].startswith("a changed since it was read; nothing was changed; read it again")
    assert texts[6].startswith("a changed since it was read; nothing was changed; read it again")
    assert texts[7].startswith(f"undone from turn {first} on: 1 file put back: a\n")  # the last one in the list now
    assert texts[8].startswith("redone: 1 file put back: a\n")
    assert texts[9].startswith("a changed since it was read; nothing was changed; read it again")
    assert (person.project / "a").read_text() == "one"
    assert (person.project / "b").exists()


def test_the_model_goes_further_back_by_id_and_the_person_undoes_that(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("echo 1 > a"), "Done.", shell("echo 2 > a"), "Done.", "unused")
    person.say("one")
    person.say("two")
    first, second = turns(person)
    report = person._runner.run(person.app.checkpoints.undo_for_model(first))
    assert report.restored.changed == (b"a",)
    assert not (person.project / "a").exists()
    again = person._runner.run(person.app.checkpoints.redo_for_model())
    assert again.turn is None
    assert (person.project / "a").read_text() == "2\n"
    assert undo(person, second)
    assert (person.project / "a").read_text() == "1\n"


def test_a_turn_that_was_cut_by_a_crash_ends_where_the_next_begins() -> None:
    history = FileHistory()

    def take(kind: str, **data: Any) -> None:
        history.apply(Record(1, kind, 0.0, data))

    take("snapshot", turn=3, when="before", tree="a")
    take("snapshot", turn=7, when="before", tree="b")
    take("snapshot", turn=7, when="after", tree="b")  # nothing changed
    take("snapshot", turn=9, when="after", tree="c")  # its beginning is damaged
    assert [(one.turn, one.before, one.after) for one in history.done] == [(3, "a", "b")]


@pytest.mark.moves_prefix("undoing is an epoch")
def test_what_was_seen_in_a_turn_that_was_undone_is_not_known(yolo: Callable[..., Speaker]) -> None:
    write = call("write", path="a", content="three")
    person = yolo(call("read", path="a"), "It says one.", "Done.")
    (person.project / "a").write_text("one")
    person.say("read it")
    seen = person.app.session.seen
    key = str((person.project / "a").resolve())
    known = seen.identity(key)
    assert known

    rewind.undo(person.app.session)
    assert seen.identity(key) is None
    person.come_back()
    assert person.app.session.seen.identity(key) is None
    rewind.redo(person.app.session)
    assert person.app.session.seen.identity(key) == known
    rewind.undo(person.app.session)
    person.simulator.brain = Script(write, "Done.")
    person.say("overwrite it")
    assert results(person) == ["a exists and was not read in this session; nothing was written; read it first"]
    assert (person.project / "a").read_text() == "one"


def test_a_turn_that_ends_on_a_full_disk_takes_the_snapshots_of_no_later_one(yolo: Callable[..., Speaker]) -> None:
    person = yolo(call("write", path="a", content="1"), call("write", path="b", content="2"), "Done.")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(event: Event) -> bool:
        if isinstance(event, ToolFinished):
            size = (person.folder / "journal.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        return False

    try:
        with pytest.raises(StorageFull):
            person.say("write", until=full)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    person.say("write on")
    first, second = turns(person)
    assert snapshots(person) == [(first, "before"), (second, "before"), (second, "after")]
    assert undo(person, second)
    assert not (person.project / "b").exists()


def test_nothing_is_pruned_beside_a_journal_that_cannot_be_read(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("echo 1 > a"), "Done.")
    person.say("Go.")
    checkpoints = person.app.checkpoints
    snapshots = checkpoints.store.snapshots
    assert snapshots is not None
    assert checkpoints._pruning is not None
    person._runner.run(asyncio.wait_for(checkpoints._pruning, 20))  # that of the first day
    person.seam._clock.advance(2 * 86_400)
    unreadable = checkpoints.store.state / "sessions" / "other" / "journal.jsonl"
    unreadable.mkdir(parents=True)

    person._runner.run(checkpoints._pruned(snapshots))
    assert snapshots.stale(checkpoints._day)
    unreadable.rmdir()
    person._runner.run(checkpoints._pruned(snapshots))
    assert not snapshots.stale(checkpoints._day)


def test_what_an_undo_found_that_was_cut_off_is_not_pruned(yolo: Callable[..., Speaker]) -> None:
    person = yolo(shell("echo 1 > a"), "Done.")
    person.say("Go.")
    snapshots = person.app.checkpoints.store.snapshots
    assert snapshots is not None
    (person.project / "mine").write_text("mine")
    found = person._runner.run(snapshots.take("20260101")).tree
    person.app.session.record("restoring", {"kind": "undo", "by": "person", "turns": turns(person), "before": found})

    person.seam._clock.advance(2 * 86_400)
    person._runner.run(person.app.checkpoints._pruned(snapshots))

    refs = snapshots._shadow.free().run("for-each-ref", "--format=%(refname)", worktree=False)
    assert found in person._runner.run(refs).out.decode()
