"""A pretend vendor, a project folder and the command line, run inside this process or as processes of their own.

Invariant: the command line is the real one; only the facts of the machine (environment, folder, clock) are given to it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cli import run
from harness.conversation.lines import Record, read_records
from harness.simulator import Received, Simulator
from tests.e2e.entry import ShiftedSeam
from tests.prefix_check import first_moved
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-test-3f1c9a7e"
TRACEBACK = "Traceback (most recent call last)"

Item = dict[str, Any]


def call(name: str, **arguments: Any) -> Item:
    """An item of a scripted answer: a tool call."""
    return {"call": name, "input": arguments}


class Script:
    """A scripted model: the n-th answer of a conversation is the n-th given here; past the end it says "done"."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def __call__(self, request: dict[str, Any]) -> Any:
        number = sum(message["role"] == "assistant" for message in request["messages"])
        return self.answers[number] if number < len(self.answers) else "done"


@dataclass(frozen=True)
class Ran:
    """How a run ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines on stderr that are messages of ours, not progress and figures."""
        return [line for line in self.err.splitlines() if line.startswith("harness:")]

    @property
    def session(self) -> str:
        """The id that the run printed at its end."""
        found = re.search(r"session (\S+)$", self.err.strip())
        assert found, self.err
        return found[1]


@dataclass
class Lab:
    """One project folder, one person's settings and state."""

    folder: Path
    home: Path
    url: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    code: Path = ROOT
    """The folder of the program that runs as a process."""

    @property
    def project(self) -> Path:
        """Where the runs work."""
        return self.folder / "project"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.home / ".local" / "state"

    def environment(self, more: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """What a run is given; a None in `more` takes a variable away."""
        given: dict[str, str | None] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_STATE_HOME": str(self.state),
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": self.url,
            **self.extra,
            **(more or {}),
        }
        return {name: value for name, value in given.items() if value is not None}

    def config(self, text: str) -> Path:
        """Write the person's config.toml."""
        path = self.home / ".config" / "harness" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(
        self, *arguments: str, env: Mapping[str, str | None] | None = None, cwd: Path | None = None, offset: float = 0
    ) -> Ran:
        """Run the command line in this process."""
        out, err = io.StringIO(), io.StringIO()
        seam = ShiftedSeam(offset, self.environment(env), cwd or self.project)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments, seam)
        ran = Ran(code, out.getvalue(), err.getvalue())
        assert TRACEBACK not in ran.err, ran.err
        return ran

    def command(self, *arguments: str, offset: float = 0, struck: Sequence[str] = ()) -> list[str]:
        """The words that start a run as its own process. struck: see `tests.e2e.struck`."""
        if struck:
            return [sys.executable, str(ROOT / "tests" / "e2e" / "struck.py"), *struck, *arguments]
        if offset:
            return [sys.executable, str(ROOT / "tests" / "e2e" / "entry.py"), str(offset), *arguments]
        return [sys.executable, "-m", "harness", *arguments]

    def spawn(
        self,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        offset: float = 0,
        stdin: Any = subprocess.DEVNULL,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        struck: Sequence[str] = (),
    ) -> subprocess.Popen[str]:
        """Start a run as its own process."""
        return subprocess.Popen(
            self.command(*arguments, offset=offset, struck=struck),
            cwd=cwd or self.project,
            env=self.environment(env) | {"PYTHONPATH": str(self.code)},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    def process(self, *arguments: str, text: str | None = None, **options: Any) -> Ran:
        """Run as its own process, to the end. `text`: what is piped into it."""
        if text is not None:
            options["stdin"] = subprocess.PIPE
        with self.spawn(*arguments, **options) as running:
            out, err = running.communicate(text, timeout=PATIENCE)
        ran = Ran(running.returncode, out or "", err or "")
        assert TRACEBACK not in ran.err, ran.err
        return ran

    def sessions(self) -> list[Path]:
        """The session folders, oldest first."""
        return sorted((self.state / "harness" / "sessions").glob("[!.]*"), key=_begun)

    def records(self, session: Path | None = None) -> list[Record]:
        """The records of a session; of the newest by default."""
        return list(read_records((session or self.sessions()[-1]) / "journal.jsonl"))


def _begun(session: Path) -> tuple[str, float]:
    """What orders sessions: ids tell the second, those of one second the time of their first record."""
    first = next(read_records(session / "journal.jsonl"), None) if (session / "journal.jsonl").is_file() else None
    return session.name[:15], first.at if first else 0.0


class Forks:
    """Runs as processes of their own, forked from one that has imported everything."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running

    def _ask(self, order: Mapping[str, Any]) -> Any:
        assert self._running.stdin
        assert self._running.stdout
        self._running.stdin.write(json.dumps(order) + "\n")
        self._running.stdin.flush()
        return json.loads(self._running.stdout.readline())

    def start(
        self,
        lab: Lab,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        stdin: Path = Path(os.devnull),
        file_limit: int | None = None,
    ) -> Fork:
        """Begin a run. `file_limit`: no file of it may grow beyond that many bytes, as if the disk were full then."""
        out, err = lab.folder / "stdout", lab.folder / "stderr"
        order = {
            "arguments": ["-m", "harness", *arguments],
            "cwd": str(cwd or lab.project),
            "environment": lab.environment(env),
            "stdin": str(stdin),
            "file_limit": file_limit,
            "stdout": str(out),
            "stderr": str(err),
        }
        return Fork(self._ask(order), out, err, self)

    def sit(self, arguments: Sequence[str], terminal: str, environment: Mapping[str, str], cwd: Path) -> Seated:
        """Begin what `python ARGUMENTS` does on a terminal of its own. terminal: its name."""
        order = {"arguments": [*arguments], "cwd": str(cwd), "environment": dict(environment), "terminal": terminal}
        return Seated(self._ask(order), self)

    def wait(self, pid: int, seconds: float) -> int | None:
        """The exit code of a run; None where it still goes on."""
        code: int | None = self._ask({"wait": pid, "seconds": seconds})
        return code


@dataclass(frozen=True)
class Fork:
    """A run that goes on."""

    pid: int
    stdout: Path
    stderr: Path
    forks: Forks

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def end(self, seconds: float = PATIENCE) -> Ran:
        """Wait for its end. What is still there after `seconds` is killed, and fails the test."""
        code = self.forks.wait(self.pid, seconds)
        if code is None:
            self.signal(signal.SIGKILL)
            self.forks.wait(self.pid, PATIENCE)
        assert code is not None, f"still running after {seconds} s"
        ran = Ran(code, self.stdout.read_text(), self.stderr.read_text())
        assert TRACEBACK not in ran.err, ran.err
        return ran


@dataclass
class Seated:
    """A run on a terminal: as much of a `Popen` as those who sit there use."""

    pid: int
    forks: Forks
    returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code; None where it still goes on."""
        return self._ended(0)

    def wait(self, timeout: float) -> int:
        """The exit code, waited for."""
        code = self._ended(timeout)
        assert code is not None, f"still running after {timeout} s"
        return code

    def _ended(self, seconds: float) -> int | None:
        if self.returncode is None:
            self.returncode = self.forks.wait(self.pid, seconds)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


@contextlib.contextmanager
def forks() -> Iterator[Forks]:
    """A process that has imported everything, until the end of the block."""
    words = [sys.executable, "-m", "tests.e2e.preloaded"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env
    ) as running:
        yield Forks(running)
        assert running.stdin
        running.stdin.close()
        running.wait(PATIENCE)


class Remote:
    """A simulator in its own process, over its control pages."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, page: str) -> Any:
        """One page."""
        with urllib.request.urlopen(f"{self.url}/_sim/{page}", timeout=PATIENCE) as answer:
            return json.load(answer)

    def set(self, page: str, **value: Any) -> Any:
        """Change something."""
        request = urllib.request.Request(f"{self.url}/_sim/{page}", json.dumps(value).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every accepted request, described."""
        found: list[dict[str, Any]] = self.get("requests")
        return found

    @property
    def refused(self) -> list[dict[str, Any]]:
        """Every refused request."""
        found: list[dict[str, Any]] = self.get("refused")
        return found


@contextlib.contextmanager
def simulator_process(folder: Path, scenario: Mapping[str, Any], *rules: str) -> Iterator[Remote]:
    """The simulator as its own process, until the end of the block."""
    path = folder / "scenario.json"
    path.write_text(json.dumps(scenario))
    words = [sys.executable, "-m", "harness.simulator", "--scenario", str(path), "--until-stdin-closes"]
    if rules:
        words += ["--rules", *rules]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PATH": os.environ["PATH"]}
    ) as running:
        assert running.stdin
        assert running.stdout
        yield Remote(json.loads(running.stdout.readline())["url"])
        running.stdin.close()
        running.wait(PATIENCE)


def assert_extends(requests: Iterable[Received], *, cached: bool = True, branches: bool = False) -> None:
    """Every mainline request of a line begins with all blocks of the one before it, and reads what can be read.

    cached: False where no request may read anything. branches: sessions were forked, so any earlier request will do.
    """
    earlier: dict[tuple[str, str], list[Received]] = {}
    for request in requests:
        if request.kind != "mainline":
            continue
        begun = re.sub(r'"cache_control": {[^}]*}(, )?', "", json.dumps(request.json["messages"][:2], sort_keys=True))
        before = earlier.setdefault((request.line, begun), [])
        moved = [first_moved(old, request) for old in (before if branches else before[-1:])]
        assert not moved or None in moved, moved
        read = request.usage["cache_read_input_tokens"]
        assert read == (request.perfect_read if cached else 0), f"{request.index}: {request.explain}"
        before.append(request)


def assert_healthy(sim: Simulator, allowed: str = "", **options: bool) -> None:
    """The vendor refused nothing of ours (but what contains `allowed`), and the prefix never moved."""
    ours = [item.error for item in sim.refused if item.status in {400, 422}]
    assert [error for error in ours if not allowed or allowed not in error] == []
    assert_extends(sim.requests, **options)


def texts(request: Mapping[str, Any]) -> str:
    """All user texts and tool results of a request, joined."""
    found: list[str] = []
    for message in request["messages"]:
        if message["role"] == "user":
            for block in message["content"]:
                parts = block.get("content", []) if block["type"] == "tool_result" else [block]
                found += [part.get("text", "") for part in parts]
    return "\n".join(found)


def results(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tool results of the last user message that has some."""
    for message in reversed(request["messages"]):
        found = [block for block in message["content"] if block["type"] == "tool_result"]
        if found:
            return found
    return []


def result_text(result: Mapping[str, Any]) -> str:
    """The text of one tool result."""
    return "".join(part.get("text", "") for part in result["content"])
