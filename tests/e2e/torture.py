"""Kills real runs at random moments and looks at what they leave behind: `scripts/torture --kills 1000`.

Invariant: what a run acknowledged (a request that the vendor received, an event on its stdout, an effect on the disk)
is asked for in the journal after its kill; every kill is followed by a real resume, which sets the torn tail aside.

A new scenario (of another kind of moment to be killed in) is one more entry of `SCENARIOS`.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.audit.shared_ledger import sub_agents
from harness.conversation.lines import Reader, Record
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from tests.delegating import call as delegated
from tests.e2e.lab import Forks, Lab, Ran, Remote, call, forks, simulator_process

KILLS_PER_SESSION = 6
ENDED = 2
"""The exit code where a turn that was to go on had ended."""

BEGUN = ["session", "prefix", "epoch"]
"""The records that a session is made with: while it has no other, nothing was said in it, and `-c` passes over it."""


@dataclass(frozen=True)
class Scenario:
    """What the model does in a turn, over and over, while the run is killed.

    turn: its answers, the last one without calls. delay: seconds between the events of a stream. flags: of the runs.
    window: tokens that the client believes the model to have; 0: what it has. of_skill: the answers of a sub-agent.
    """

    name: str
    turn: tuple[list[Any], ...]
    delay: float = 0.0
    flags: tuple[str, ...] = ()
    window: int = 0
    of_skill: tuple[list[Any], ...] = ()

    def scripts(self) -> Iterator[dict[str, Any]]:
        """For the simulator: the conversations in which the person, or who calls the skill, names this scenario."""
        if self.of_skill:
            yield {"match": f"Task: {self.name}\\b", "turns": self._answers(self.of_skill)}
        yield {"match": f"scenario {self.name}\\b", "turns": self._answers(self.turn) * 60}

    def _answers(self, turn: Sequence[list[Any]]) -> list[dict[str, Any]]:
        return [
            {"answer": [{"text": item} if isinstance(item, str) else item for item in answer], "delay": self.delay}
            for answer in turn
        ]


SCENARIOS = (
    Scenario(
        "writes",  # many small records
        (
            [call("read", path=f"{n}.txt") for n in range(24)],
            [call("grep", pattern=f"line {n}$") for n in range(8)],
            ["!"],
        ),
    ),
    Scenario(
        "large",  # records of hundreds of kilobytes, blobs, spilled outputs; all of it fits the window
        (
            [call("read", path=f"large-{n}") for n in range(8)],
            [call("shell", command="seq 30000; echo ran >> log")],
            ["!"],
        ),
    ),
    Scenario(
        "streams",
        (
            [{"thinking": "Let me see. " * 5}, "I look around. " * 8, call("glob", pattern="*")],
            ["And that is it. " * 12],
        ),
        delay=0.004,
    ),
    Scenario(
        "tools",
        (
            ["First this.", call("shell", command="echo ran >> log; sleep 0.04")],
            [call("write", path="notes.txt", content="notes\n" * 50), call("read", path="notes.txt")],
            [call("shell", command="echo ran >> log"), call("shell", command="echo ran >> log; sleep 0.02")],
            ["Done."],
        ),
        delay=0.001,
    ),
    Scenario(
        "compaction",  # one is due in nearly every run
        (
            [call("read", path="large-1"), call("read", path="large-2")],
            [call("read", path="large-3")],
            ["I read them. " * 10],
        ),
        delay=0.002,
        window=24_000,
    ),
    Scenario(
        "delegation",  # killed with its caller, each goes on where it was
        (
            [delegated("look", "delegation"), call("read", path="1.txt")],
            ["It was found. " * 5],
        ),
        delay=0.001,
        of_skill=(
            [call("read", path="2.txt"), call("grep", pattern="line 3")],
            [call("shell", command="echo ran >> log; sleep 0.02")],
            ["Found. " * 20],
        ),
    ),
)
SKILL = "---\nname: look\ndescription: Looks.\ncontext: fresh\n---\nLook.\n"
_CATALOG = Catalog.load(None)
SUMMARY = "# Task\nRead the large files, one after the other.\n# Next\nGo on. " * 4


@dataclass
class Report:
    """What was found. Everything from `lost` on must stay empty."""

    kills: int = 0
    sessions: int = 0
    unbegun: int = 0
    finished: int = 0
    torn: int = 0
    resumes: int = 0
    continued: int = 0
    requests: int = 0
    compactions: int = 0
    by_scenario: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    unresumable: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """Everything that must not be."""
        found = {
            "lost": self.lost,
            "unresumable": self.unresumable,
            "refused": self.refused,
            "prefix moved": self.moved,
            "journal changed": self.changed,
            "not proved by replay": self.unproved,
        }
        return [f"{name}: {text}" for name, texts in found.items() for text in texts]

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} in {name}" for name, count in sorted(self.by_scenario.items()))
        return "\n".join(
            (
                f"kills                     {self.kills} ({kinds}) of {self.sessions} sessions",
                f"  before a session began  {self.unbegun}",
                f"  came too late           {self.finished}",
                f"  torn tails              {self.torn}",
                f"resumes                   {self.resumes}, requests {self.requests}, compactions {self.compactions}",
                f"  of the same turn        {self.continued}",
                f"acknowledged, lost        {len(self.lost)}",
                f"unresumable               {len(self.unresumable)}",
                f"refused by the vendor     {len(self.refused)}",
                f"prefix moved              {len(self.moved)}",
                f"written records changed   {len(self.changed)}",
                f"sessions not proved       {len(self.unproved)}",
                *self.failures,
            )
        )


class Torture:
    """Kills until told to stop. One simulator and one place that forks runs serve all sessions."""

    def __init__(self, folder: Path, remote: Remote, forked: Forks, seed: int) -> None:
        self._folder = folder
        self._remote = remote
        self._forked = forked
        self._random = random.Random(seed)
        self._lengths: dict[str, tuple[float, int]] = {}
        self.report = Report()

    def run(self, kills: int) -> Iterator[Report]:
        """Kill that many runs; gives the report after each."""
        number = 0
        while self.report.kills < kills:
            scenario = SCENARIOS[number % len(SCENARIOS)]
            if scenario.name not in self._lengths:
                self._measure(scenario)
            _Session(self, scenario, self._lab(f"{number}-{scenario.name}")).torment(
                min(KILLS_PER_SESSION, kills - self.report.kills)
            )
            number += 1
            yield self.report

    def _measure(self, scenario: Scenario) -> None:
        """Seconds that a whole run takes here and now, and bytes that it writes."""
        lab = self._lab(f"whole-{scenario.name}")
        self.start(lab, scenario).end()
        begun = time.monotonic()
        self.start(lab, scenario, "-c").end()
        size = (lab.sessions()[-1] / "journal.jsonl").stat().st_size
        self._lengths[scenario.name] = time.monotonic() - begun, size // 2

    def took(self, scenario: Scenario, seconds: float) -> None:
        """A whole run took so long just now: the machine is busier at one time than at another."""
        self._lengths[scenario.name] = seconds, self._lengths[scenario.name][1]

    def _lab(self, name: str) -> Lab:
        # a home of its own: -c must find this session and no other
        scenario = next(one for one in SCENARIOS if name.endswith(f"-{one.name}"))
        lab = Lab(self._folder / name, self._folder / name / "home", self._remote.url)
        lab.project.mkdir(parents=True)
        if scenario.window:
            settings = lab.config("").with_name("catalog.toml")
            settings.write_text(f'[models."anthropic/claude-sonnet-5-5"]\nwindow = {scenario.window}\n')
        for number in range(24):
            (lab.project / f"{number}.txt").write_text(f"line {number}\n" * 20)
            (lab.project / f"large-{number}").write_text(
                "".join(f"{number} {line} {'x' * 60}\n" for line in range(400))
            )
        skill = lab.project / ".harness" / "skills" / "look" / "SKILL.md"
        skill.parent.mkdir(parents=True)
        skill.write_text(SKILL)
        return lab

    def start(self, lab: Lab, scenario: Scenario, *flags: str, words: str | None = None) -> Any:
        """Begin a run. words: the task, the scenario's by default; "": go on with a turn that was cut off."""
        for name in ("stdout", "stderr"):
            (lab.folder / name).write_text("")  # a run may be killed before it does so itself
        task = f"scenario {scenario.name}" if words is None else words
        rest = ("--permission-mode", "yolo", "--output-format", "stream-json", *flags, *scenario.flags)
        return self._forked.start(lab, "-p", task, *rest)

    def wait_for_moment(self, scenario: Scenario, journal: Path | None) -> None:
        """Sleep until a random moment: of time, or (in the middle of a write, with luck) of the journal's growth."""
        seconds, size = self._lengths[scenario.name]
        if self._random.random() < 0.5:
            time.sleep(self._random.uniform(0, seconds))
            return
        before = journal.stat().st_size if journal is not None and journal.exists() else 0
        wanted, deadline = before + self._random.uniform(1, size), time.monotonic() + 2 * seconds
        while time.monotonic() < deadline:
            if journal is None:
                time.sleep(self._random.uniform(0, seconds))
                return
            if journal.exists() and journal.stat().st_size >= wanted:
                return

    @property
    def remote(self) -> Remote:
        """The vendor."""
        return self._remote


class _Session:
    """One session: killed, looked at, resumed, and again."""

    def __init__(self, torture: Torture, scenario: Scenario, lab: Lab) -> None:
        self._torture = torture
        self._scenario = scenario
        self._lab = lab
        self._report = torture.report
        self._events: Counter[str] = Counter()
        self._finished_calls: set[str] = set()
        self._kept = b""
        torture.remote.set("reset")

    def torment(self, kills: int) -> None:
        self._report.sessions += 1
        for number in range(kills):
            killed = self._kill(number)
            self._report.kills += 1
            self._report.by_scenario[self._scenario.name] += 1
            self._hear(killed)
            if (records := self._look("kill")) is None:
                self._report.unbegun += 1
                continue
            self._acknowledged(records)
            ended = self._resume(number)
            self._report.resumes += 1
            self._hear(ended)
            if ended.code != 0:
                self._say(self._report.unresumable, f"exit {ended.code}: {ended.err.strip()[-300:]}")
            if (records := self._look("resume")) is not None:
                self._acknowledged(records)
        self._vendor()
        self._replay()

    def _resume(self, number: int) -> Ran:
        """Every other time the rest of the turn that was killed, where there is a rest; else another turn."""
        ran: Ran
        if number % 2:
            ran = self._torture.start(self._lab, self._scenario, "-c", words="").end()
            if ran.code != ENDED or "nothing to go on with" not in ran.err:
                self._report.continued += 1
                return ran
        begun = time.monotonic()
        ran = self._torture.start(self._lab, self._scenario, "-c").end()
        self._torture.took(self._scenario, time.monotonic() - begun)
        return ran

    def _kill(self, number: int) -> Ran:
        flags = ("-c",) if number and self._journal() else ()
        running = self._torture.start(self._lab, self._scenario, *flags)
        self._torture.wait_for_moment(self._scenario, self._journal())
        running.signal(signal.SIGKILL)
        ran: Ran = running.end()
        self._report.finished += ran.code == 0
        return ran

    def _journal(self) -> Path | None:
        """The journal of the session that began, if one did."""
        paths = [path / "journal.jsonl" for path in self._lab.sessions()]
        begun = [path for path in paths if path.exists() and path.read_bytes().count(b"\n") > len(BEGUN)]
        return begun[-1] if begun else None

    def _hear(self, ran: Ran) -> None:
        """Remember what a run said that it did."""
        for line in ran.out.splitlines():
            try:
                event: Mapping[str, Any] = json.loads(line)
            except ValueError:
                continue  # cut by the kill
            self._events[event["type"]] += 1
            if event["type"] == "tool_finished":
                self._finished_calls.add(event["call_id"])

    def _look(self, when: str) -> list[Record] | None:
        """The records as they are now, without touching the file; None where no session began."""
        if (path := self._journal()) is None:
            return None
        reader = Reader(path)
        records = [*reader]
        if reader.damage:
            self._say(self._report.lost, f"after a {when}: {reader.damage}")
        if when == "kill":
            self._report.torn += reader.end < reader.size
        elif reader.end < reader.size:
            self._say(self._report.changed, "a torn tail is still there after a resume")
        whole = path.read_bytes()[: reader.end]
        if not whole.startswith(self._kept):
            self._say(self._report.changed, f"after a {when}: what was written is no longer there")
        self._kept = whole
        return records

    def _acknowledged(self, records: Sequence[Record]) -> None:
        """Everything that somebody was told is in the journal."""
        everywhere = [*records, *self._of_sub_agents()]
        kinds = Counter(record.kind for record in everywhere)
        done = {record.data["result"]["call_id"] for record in everywhere if record.kind == "tool_done"}
        said = sum(record.kind == "message" and record.data["tag"] == "person" for record in records)
        log = self._lab.project / "log"
        told = {
            "requests received": (len(self._torture.remote.requests), kinds["request"] + kinds["retry"]),
            "requests told": (self._events["request"], kinds["request"]),
            "responses told": (self._events["response"], kinds["response"]),
            "effects": (log.read_text().count("ran") if log.exists() else 0, kinds["intent"]),
            "words that were sent": (min(1, self._events["request"]), said),
        }
        for what, (heard, kept) in told.items():
            if kept < heard:
                self._say(self._report.lost, f"{what}: {heard}, in the journal {kept}")
        if missing := self._finished_calls - done:
            self._say(self._report.lost, f"results of {sorted(missing)}")

    def _of_sub_agents(self) -> list[Record]:
        """The records of their own journals."""
        folders = sub_agents(journal.parent) if (journal := self._journal()) else []
        # one that was killed while it was made may not have one yet
        journals = [path for folder in folders if (path := folder / "journal.jsonl").exists()]
        return [record for path in journals for record in Reader(path)]

    def _replay(self) -> None:
        """Every request of the session, and of its sub-agents, can be made again from its journal."""
        if (journal := self._journal()) is None:
            return
        born = [folder for folder in sub_agents(journal.parent) if "born" in (folder / "journal.jsonl").read_text()]
        for folder in (journal.parent, *born):
            if not (report := verify(folder, _CATALOG)).equal:
                self._say(self._report.unproved, f"{report.found or report.damage}, {report.unproved} requests")

    def _vendor(self) -> None:
        """Nothing was refused, and every request extended the one before it."""
        requests = self._torture.remote.requests
        self._report.requests += len(requests)
        for refusal in self._torture.remote.refused:
            self._say(self._report.refused, f"{refusal['status']} {refusal['error']}")
        moved = [request["index"] for request in requests if request["prefix_ok"] is False]
        records = self._look("resume") or []
        epochs = sum(record.kind == "epoch" and "messages" in record.data for record in records)
        self._report.compactions += epochs
        # a sub-agent begins anew beside its caller, and each goes on behind the other
        beside = 2 * sum(record.kind == "subagent" for record in records)
        if len(moved) > epochs + beside:
            self._say(self._report.moved, f"requests {moved}, with {epochs} compactions")

    def _say(self, where: list[str], text: str) -> None:
        where.append(f"{self._lab.folder.name}: {text}")


def torture(folder: Path, forked: Forks, kills: int, seed: int) -> Iterator[Report]:
    """Kill that many runs in a folder of their own; gives the report after each session."""
    scenario = {"conversations": [script for one in SCENARIOS for script in one.scripts()], "side": [{"text": SUMMARY}]}
    with simulator_process(folder, scenario, "minimum=1") as remote:
        yield from Torture(folder, remote, forked, seed).run(kills)


def main(arguments: Sequence[str]) -> int:
    """Print the report: 0 when nothing was lost."""
    parser = argparse.ArgumentParser(prog="scripts/torture", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--folder", type=Path, help="keep everything there; default: a temporary folder")
    flags = parser.parse_args(arguments)
    print(f"seed {flags.seed}", flush=True)
    begun, told = time.monotonic(), 0
    report = Report()
    with tempfile.TemporaryDirectory(prefix="harness-torture-") as temporary, forks() as forked:
        folder = flags.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for report in torture(folder, forked, flags.kills, flags.seed):
            if report.kills >= told + 100:
                told = report.kills
                print(f"{told} kills, {len(report.failures)} failures, {time.monotonic() - begun:.0f} s", flush=True)
    print(f"{report}\nseconds                   {time.monotonic() - begun:.0f}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
