"""shell: real commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conversation.blocks import Text
from harness.tools import shell
from harness.tools.base import Outcome, Tool
from harness.tools.output import Spill
from harness.workspace.paths import Workspace
from tests.waiting import assert_gone, nap

Call = Callable[..., Outcome]
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "ANTHROPIC_API_KEY": "sk-ant-0123456789abc",
       "MY_OWN": "private-value", "TERM": "xterm", "LC_ALL": "C.UTF-8"}  # fmt: skip


def text(outcome: Outcome) -> str:
    first = outcome.content[0]
    assert isinstance(first, Text)
    return first.text


@pytest.fixture
def tool(space: Workspace, tmp_path: Path) -> Tool:
    return shell.make(space, ENV, Spill(tmp_path / "out"), ("MY_OWN",))


@pytest.mark.parametrize(
    ("command", "expected", "shown"),
    [
        ("echo hi", "hi\n[exit 0]", "exit 0"),
        ("printf hi; exit 7", "hi\n[exit 7]", "exit 7"),
        ("true", "(no output)\n[exit 0]", "exit 0"),
        ("echo a; echo b >&2", "a\nb\n[exit 0]", "exit 0"),
        ("kill -KILL $$", "(no output)\n[killed by SIGKILL]", "killed by SIGKILL"),
        ("sleep 61 & echo x", "x\n[exit 0; 1 background process was ended]", "exit 0; 1 background process was ended"),
        ("printf 'a\\0b\\033[2Jc\\377\\r\\nd\\re'", "a\\x00b\\x1b[2Jc\ufffd\nd\ne\n[exit 0]", "exit 0"),
        ("cat", "(no output)\n[exit 0]", "exit 0"),
        ("cd /; pwd", "/\n[exit 0]", "exit 0"),
        ("echo $TERM $PAGER $MY_OWN", "dumb cat\n[exit 0]", "exit 0"),
        ("[[ a == a ]] && echo bash", "bash\n[exit 0]", "exit 0"),
        ("no-such-program-here 2>/dev/null", "(no output)\n[exit 127]", "exit 127"),
    ],
)
def test_what_comes_back(tool: Tool, call: Call, command: str, expected: str, shown: str) -> None:
    outcome = call(tool, command=command)
    assert text(outcome) == expected
    assert outcome.shown == shown
    assert not outcome.is_error
    assert outcome.full == ""


def test_each_call_starts_in_the_working_folder(tool: Tool, call: Call, space: Workspace) -> None:
    call(tool, command="cd /; export X=1")
    assert text(call(tool, command="pwd; echo $PWD; echo x$X")) == f"{space.root}\n{space.root}\nx\n[exit 0]"


def test_no_key_is_in_its_environment(tool: Tool, call: Call) -> None:
    shown = text(call(tool, command="printenv; cat /proc/self/environ | tr '\\0' '\\n'"))
    assert "PATH=" in shown
    assert "sk-ant" not in shown
    assert "private-value" not in shown


def test_long_output_is_cut_in_the_middle_and_whole_in_a_file(tool: Tool, call: Call) -> None:
    for count in (5000, 200_000):
        outcome = call(tool, command=f"seq 1 {count}")
        whole = "".join(f"{n}\n" for n in range(1, count + 1))
        shown = text(outcome)
        assert Path(outcome.full).read_text() == whole
        assert len(shown.encode()) < shell.BYTES + 300
        assert shown.startswith("1\n2\n")
        assert shown.endswith(f"\n{count}\n[exit 0]")
        head, middle = shown.split("\n[… ", 1)
        middle, tail = middle.split("]\n", 1)
        assert middle.endswith(f" bytes left out; whole output: {outcome.full}; read it with offset and limit")
        left = int(middle.split(" ")[0].replace(",", ""))
        assert left + len(head) + 1 + len(tail) - len("[exit 0]") == len(whole)
        assert outcome.full == call(tool, command=f"seq 1 {count}").full


def test_controls_do_not_make_it_longer(tool: Tool, call: Call) -> None:
    for source in ("/dev/zero", "/dev/urandom"):
        assert len(text(call(tool, command=f"head -c 100000 {source}")).encode()) < shell.BYTES + 700


def test_a_timeout(tool: Tool, call: Call) -> None:
    for seconds in (1, 5, 20):  # a busy machine may not have come to the echo by then
        outcome = call(tool, command=f"echo early; sleep {nap()} & sleep {nap()}", timeout=seconds)
        assert outcome.is_error
        if "early" in text(outcome):
            break
    assert text(outcome) == f"early\n[timed out after {seconds} s and was killed]"


def test_what_cannot_run(tool: Tool, call: Call, space: Workspace) -> None:
    assert "null" in text(call(tool, command="echo \0"))
    space.root.rmdir()
    outcome = call(tool, command="true")
    assert outcome.is_error
    assert text(outcome) == f"the working folder {space.root} is gone; nothing was run"


def test_cancelled_it_leaves_nothing(tool: Tool, space: Workspace) -> None:
    naps = nap(), nap()

    async def cancelled() -> None:
        task = asyncio.ensure_future(tool.run({"command": "sleep {} & touch up; sleep {}; echo x".format(*naps)}))
        while not (space.root / "up").exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert_gone(*naps)


def test_nothing_waits_for_a_person(tool: Tool, call: Call) -> None:
    setup = "git init -q . && git -c user.name=a -c user.email=b commit -q --allow-empty -m x"
    assert text(call(tool, command=setup)).endswith("[exit 0]")
    command = "git log; git commit --allow-empty; git rebase -i --root; read x; python3 -c 'input()'; echo through"
    assert text(call(tool, command=command)).endswith("through\n[exit 0]")
