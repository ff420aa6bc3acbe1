"""Sessions that are carried elsewhere: exported while they are in use, proved, run as tests, and opened again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.delegating import FRESH, Brain, skill
from tests.delegating import call as delegated
from tests.e2e.conftest import Start
from tests.e2e.lab import ROOT, Forks, Lab, Script, call
from tests.ui.full_disk import fill, small_disk
from tests.waiting import wait_for

LONG = "".join(f"line {number}\n" for number in range(9000))
BEGIN = [call("read", path="big.txt"), call("shell", command="seq 30000")]


def worked(lab: Lab, vendor: Start) -> Path:
    """A session with a sub-agent, outputs that were cut, and blobs."""
    (lab.project / "big.txt").write_text(LONG)
    skill(lab.project, "look", FRESH)
    vendor(Brain([BEGIN, [delegated("look", "one")]], {"one": [BEGIN[:1], "I looked."]}), branches=True)
    assert lab.run("-p", "go", "--permission-mode", "yolo").code == 0
    (session,) = lab.sessions()
    assert (session / "outputs").is_dir()
    return session


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def elsewhere(lab: Lab, tmp_path: Path) -> Lab:
    """The same program on another machine: another home and another checkout."""
    there = Lab(tmp_path / "there", tmp_path / "there" / "home", lab.url)
    there.project.mkdir(parents=True)
    there.home.mkdir()
    return there


def test_an_export_holds_what_proves_it_and_nothing_else(lab: Lab, vendor: Start) -> None:
    session = worked(lab, vendor)
    (session / "blobs" / "ab").mkdir(exist_ok=True)
    (session / "blobs" / "ab" / ("ab" + "0" * 62)).write_text("that nothing names")

    ran = lab.process("sessions", "export", session.name, "--format", "session", "--output", "kept")

    assert (ran.code, ran.out) == (0, f"{lab.project / 'kept'}\n")
    assert ran.err == (
        "before you pass it on, look at it: nothing in it has a known form of a credential; "
        f"it names {lab.project}; it holds all that was said and read\n"
    )
    made = contents(lab.project / "kept")
    (agent,) = {name.split("/")[1] for name in made if name.startswith("agents/")}
    before = contents(session)
    assert {name: before[name] for name in made} == made
    left = {name.split("/")[0] if "agents" not in name else name.split("/")[2] for name in before if name not in made}
    assert left <= {"outputs", "lock", "blobs"}
    assert "blobs/ab/ab" + "0" * 62 not in made
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [lab.project / "kept", *(lab.project / "kept").rglob("*")]}
    assert modes == {0o700, 0o600}
    for folder in ("kept", f"kept/agents/{agent}"):
        proved = lab.process("replay", f"./{folder}")
        assert (proved.code, "DIVERGES" in proved.out) == (0, False), proved.out
    assert lab.process("sessions", "export", session.name, "--format", "session", "--output", "kept").code == 2
    assert contents(lab.project / "kept") == made


def test_pytest_takes_an_export_and_its_sub_agents(lab: Lab, vendor: Start) -> None:
    session = worked(lab, vendor)
    output = lab.project / "tests" / "recorded" / "small"
    assert lab.run("sessions", "export", session.name, "--format", "session", "--output", str(output)).code == 0
    globs = "harness_sessions = tests/recorded/* tests/recorded/*/agents/*"
    (lab.project / "pytest.ini").write_text(f"[pytest]\n{globs}\n")

    words = [sys.executable, "-m", "pytest", "-p", "harness.replay.pytest_plugin", "-p", "no:cacheprovider"]
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    ran = subprocess.run(words, cwd=lab.project, env=env, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_a_session_in_use_is_exported_as_far_as_it_is(lab: Lab, vendor: Start) -> None:
    vendor(Script([call("shell", command="touch ready; sleep 30")], "never said"))
    with lab.spawn("-p", "go", "--permission-mode", "yolo") as running:
        wait_for((lab.project / "ready").exists)
        (session,) = lab.sessions()
        # a half record, as one that is being written
        whole = (session / "journal.jsonl").read_bytes()
        ran = lab.process("sessions", "export", session.name, "--output", "now.tar.gz")
        running.kill()

    assert ran.code == 0, ran.err
    with tarfile.open(lab.project / "now.tar.gz") as tar:
        tar.extractall(lab.folder / "unpacked", filter="data")
    folder = lab.folder / "unpacked" / session.name
    assert (folder / "journal.jsonl").read_bytes() == whole
    assert lab.process("replay", str(folder)).code == 0


def test_half_a_record_is_left_out(lab: Lab, vendor: Start) -> None:
    vendor(Script("one"))
    assert lab.run("-p", "go").code == 0
    (session,) = lab.sessions()
    whole = (session / "journal.jsonl").read_bytes()
    (session / "journal.jsonl").write_bytes(whole + whole.splitlines()[-1][:50])

    assert lab.run("sessions", "export", session.name, "--format", "session").code == 0

    assert (lab.project / session.name / "journal.jsonl").read_bytes() == whole
    assert lab.run("replay", f"./{session.name}").code == 0


def test_a_secret_is_told_by_its_record_and_not_shown(lab: Lab, vendor: Start) -> None:
    secret = "ghp_" + "a1B2c3D4e5" * 4
    (lab.project / "env").write_text(f"export DEPLOY_TOKEN={secret}\n")
    vendor(Script([call("read", path="env")], f"It is {lab.environment()['ANTHROPIC_API_KEY']}"))
    assert lab.run("-p", "go", "--permission-mode", "yolo").code == 0
    (session,) = lab.sessions()

    ran = lab.process("sessions", "export", session.name, "--format", "session")

    (line,) = ran.err.splitlines()
    assert "SOMETHING LIKE A CREDENTIAL in records " in line
    named = {int(word) for word in line.partition("in records ")[2].partition(";")[0].replace(",", "").split()}
    held = {record.seq for record in lab.records() if secret in str(record.data)}
    assert held
    assert held < named  # and those with the key
    assert secret not in ran.err + ran.out
    assert lab.environment()["ANTHROPIC_API_KEY"] not in ran.err + ran.out


@pytest.mark.parametrize("name", ["kept", "kept.tar.gz"])
def test_nothing_stays_after_a_full_disk(lab: Lab, vendor: Start, name: str) -> None:
    session = worked(lab, vendor)
    with small_disk(lab.folder / "small", "1m") as disk:
        filler = fill(disk, 24 * 1024)
        ran = lab.process("sessions", "export", session.name, "--format", "session", "--output", str(disk / name))
        assert ran.code == 2
        assert "No space left" in ran.lines[0]
        assert list(disk.iterdir()) == [filler]
        filler.unlink()
        assert (
            lab.run("sessions", "export", session.name, "--format", "session", "--output", str(disk / name)).code == 0
        )


def test_a_file_that_cannot_grow_leaves_nothing(lab: Lab, vendor: Start, forked: Forks) -> None:
    session = worked(lab, vendor)
    words = ["sessions", "export", session.name, "--output", "kept.tar.gz"]
    ran = forked.start(lab, *words, file_limit=4096).end()

    assert ran.code == 2, ran.err
    assert "File too large" in ran.err
    assert not [path.name for path in lab.project.iterdir() if "kept" in path.name or path.name.endswith(".part")]


@pytest.mark.parametrize("name", ["{id}", "{id}.tar.gz", "renamed", "renamed.tar.gz"])
def test_it_goes_on_on_another_machine(lab: Lab, vendor: Start, tmp_path: Path, name: str) -> None:
    session = worked(lab, vendor)
    output = name.format(id=session.name)
    assert lab.run("sessions", "export", session.name, "--format", "session", "--output", output).code == 0
    there = elsewhere(lab, tmp_path)

    ran = there.process("sessions", "import", str(lab.project / output))

    assert ran.code == 0, ran.err
    (here,) = there.sessions()
    assert (here.name == session.name) == (name != "renamed")  # an archive holds its id
    assert f"session {here.name} is here" in ran.out
    assert "1 sub-agent" in ran.out
    assert contents(here) == contents(lab.project / session.name if name == "{id}" else here)
    assert there.process("replay", here.name).code == 0
    again = there.process("sessions", "import", str(lab.project / output))
    assert (again.code, "is here already" in again.lines[0]) == (2, True)
    went_on = there.process("-r", here.name, "-p", "and on")
    assert went_on.code == 0, went_on.err
    assert "Done." in went_on.out
    assert not [path for path in (there.state / "harness").iterdir() if path.name.startswith(".import")]


def test_one_in_the_trash_is_brought_back_instead(lab: Lab, vendor: Start) -> None:
    vendor(Script("one"))
    assert lab.run("-p", "go").code == 0
    (session,) = lab.sessions()
    assert lab.run("sessions", "export", session.name, "--format", "session").code == 0
    assert lab.run("sessions", "delete", session.name).code == 0

    assert "harness sessions restore" in lab.run("sessions", "import", session.name).lines[0]
    shutil.rmtree(lab.state / "harness" / "trash" / session.name)
    assert lab.run("sessions", "import", session.name).code == 0
    assert lab.run("-c", "-p", "and on").code == 0


def killed(lab: Lab, folder: Path, pattern: str, *words: str) -> Path:
    """The private folder that a run leaves which is killed when it opens the first file in there."""
    inside = f"/{re.escape(pattern.partition('*')[0])}[^/]*/"
    ran = lab.process(*words, struck=("SIGKILL", "open", inside))
    assert ran.code == -signal.SIGKILL
    (found,) = folder.glob(pattern)
    assert found.is_dir()
    return found


def test_what_a_kill_leaves_is_removed_by_the_next(lab: Lab, vendor: Start, tmp_path: Path) -> None:
    session = worked(lab, vendor)
    there, kept = elsewhere(lab, tmp_path), lab.project / "kept.tar.gz"
    export = ("sessions", "export", session.name, "--output", kept.name)
    state = there.state / "harness"

    left = killed(lab, lab.project, ".harness-*.part", *export)
    os.utime(left, (0, 0))
    assert lab.process(*export).code == 0
    assert not list(lab.project.glob(".harness-*"))

    left = killed(there, state, ".import-*", "sessions", "import", str(kept))
    assert there.sessions() == []
    os.utime(left, (0, 0))
    assert there.process("sessions", "import", str(kept)).code == 0
    assert not list(state.glob(".import-*"))
    assert len(list((there.sessions()[0] / "agents").iterdir())) == 1
