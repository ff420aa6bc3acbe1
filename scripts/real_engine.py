# ruff: noqa: INP001 - a script, not a package
"""Runs a session of this client against a real engine and compares what it reuses with what is expected of it.

Invariant: the engine's own counts are taken, never ours. Answers are noise and may end a turn in any way; what counts
is the prompts. Exit code 1 where one request reused less than the whole prompt of the request before it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from harness.agent.model_call import ModelCall
from harness.app import App
from harness.conversation.blocks import Message, Text
from harness.conversation.events import Event, ResponseDone, TurnEnded
from harness.errors import HarnessError
from harness.options import Options
from harness.prompt.layers import static_text
from harness.seam import Seam
from harness.tools.output import visible
from harness.ui.tables import print_table

WINDOW = 32_768
ANSWER = 48
"""Tokens of an answer at most."""

WORDS = (
    "What is this project about?",
    "Which of its files would you read first, and why?",
    "Say it shorter.",
    "Is there a test for it?",
    "What would you change, and what would you leave as it is?",
    "Then sum up what we said.",
)
AWAY, ASIDE = 2, 4
"""Turns after which the session is left and opened again from its journal, and after which a side request is made."""

COLUMNS = ("request", "prompt", "reused", "expected", "computed", "verdict", "what it was")


@dataclass(frozen=True, slots=True)
class Counted:
    """One request: tokens as the engine counted them, and what it should have reused at least."""

    prompt: int
    reused: int
    expected: int
    verdict: str
    what: str


class Engine:
    """The server of llama-cpp-python in a process of its own, on loopback.

    Its streamed answers carry no usage at all, asked for or not, so its log is read.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        self._command = command
        self._seen = 0

    @contextlib.contextmanager
    def serve(self) -> Iterator[str]:
        """Its base URL, while it runs.

        Raises:
            SystemExit: it does not answer within two minutes.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with self.log.open("wb") as log:
            process = subprocess.Popen([*self._command, "--port", str(port)], stdout=log, stderr=log)
        try:
            self._wait(process, f"http://127.0.0.1:{port}/v1/models")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes], url: str) -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - loopback
                return
            time.sleep(0.2)
        sys.exit(f"the engine did not start; the end of its log:\n{self.log.read_text(errors='replace')[-2000:]}")

    def counts(self) -> tuple[int, int]:
        """Tokens of the last prompt, and how many of them were not computed again.

        Raises:
            SystemExit: its log does not say so.
        """
        until, text = time.monotonic() + 30, ""
        # the timing is written when the answer has ended, which may be after it has arrived
        while not (timing := re.findall(r"prompt eval time =.*?/\s*(\d+) tokens", text)):
            if time.monotonic() > until:
                sys.exit(f"the engine's log does not say what it reused:\n{text[-2000:]}")
            time.sleep(0.05)
            text = self.log.read_bytes()[self._seen :].decode("utf-8", "replace")
        self._seen = self.log.stat().st_size
        if hit := re.findall(r"(\d+) prefix-match hit, remaining (\d+) prompt tokens", text):
            reused, rest = map(int, hit[-1])
            return reused + rest, reused
        return int(timing[-1]), 0


class Machine(Seam):
    """This machine, with folders of the script's own and no key of the person's."""

    def __init__(self, folder: Path) -> None:
        private = ("ANTHROPIC_", "OPENAI_", "HARNESS_", "LLAMA_")
        self._environment = {k: v for k, v in super().environment().items() if not k.startswith(private)} | {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "HOME": str(folder),
        }

    def environment(self) -> Mapping[str, str]:
        """The script's own."""
        return self._environment


class Person:
    """Says the words, leaves, comes back, asks beside the line, and writes down what the engine counted."""

    def __init__(self, engine: Engine, url: str, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self._seam = Machine(folder)
        settings = folder / "config" / "harness"
        settings.mkdir(parents=True)
        (settings / "config.toml").write_text(f"max_output_tokens = {ANSWER}\n")
        (settings / "catalog.toml").write_text(f'[profiles.llamacpp]\nbase_url = "{url}"\n')
        self._options = Options(cwd=self._project("first"), model="openai-chat/llamacpp/noise")
        self.app = App(self._options, self._seam, _nobody)
        self.rows: list[Counted] = []
        self.trouble: list[str] = []
        self._longest = 0

    def _project(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        (folder / "AGENTS.md").write_text(f"# The {name} project\n\nAnswer in plain words.\n")
        return folder.resolve()

    async def session(self) -> None:
        """All of it."""
        for number, words in enumerate(WORDS, 1):
            await self._turn(number, words)
            if number == AWAY:
                await self._come_back()
            if number == ASIDE:
                await self._aside()
        await self.app.close()
        # another session in another folder: tools and the static system block are the same, token for token
        self._options = replace(self._options, cwd=self._project("second"))
        self.app = App(self._options, self._seam, _nobody)
        self._longest = len(static_text().encode())
        await self._turn(1, WORDS[0], "another session in another folder, ")
        await self.app.close()

    async def _turn(self, number: int, words: str, where: str = "") -> None:
        calls = 0
        try:
            async with aclosing(self._events(words)) as events:
                async for event in events:
                    match event:
                        case ResponseDone():
                            calls += 1
                            more = f", call {calls}" if calls > 1 else ""
                            self._count(event, f"{where}turn {number}{more}: {event.stop}")
                        case TurnEnded():
                            sys.stderr.write(f"{number}> {words}\n   {event.reason}: {visible(event.text)}\n")
                        case _:
                            pass
        except HarnessError as error:
            self.trouble.append(f"turn {number}: {type(error).__name__}: {error}")
        if not calls:
            self.trouble.append(f"turn {number}: no answer was counted")

    def _events(self, words: str) -> AsyncGenerator[Event]:
        return self.app.agent.turn(words)

    async def _come_back(self) -> None:
        """Leave, and open the session again from its journal."""
        left = self.app.session.journal.id
        await self.app.close()
        self.app = App(replace(self._options, resume=left, model=None), self._seam, _nobody)

    async def _aside(self) -> None:
        """A side request: it reads the line, and the line goes on without it."""
        self.app.session.heal()
        instruction = Message("system_injected", (Text("[Side request] Give this session a title."),))
        call = ModelCall(self.app.session, self.app.agent.channel, (instruction,))
        async with aclosing(call.run()) as events:
            async for event in events:
                if isinstance(event, ResponseDone):
                    self._count(event, f"beside the line: {event.stop}", side=True)

    def _count(self, done: ResponseDone, what: str, *, side: bool = False) -> None:
        prompt, reused = self._engine.counts()
        row = Counted(prompt, reused, self._longest, done.verdict, what)
        self.rows.append(row)
        if not row.expected <= row.reused <= row.prompt:
            self.trouble.append(f"{what}: {row.reused:,} tokens reused, {row.expected:,} expected")
        if not side:
            self._longest = prompt


async def _nobody(_question: object) -> None:
    """Nobody is there."""


def report(person: Person) -> None:
    """The table, the sums, and what went wrong."""
    rows = [
        (
            *(f"{count:,}" for count in (number, row.prompt, row.reused, row.expected, row.prompt - row.reused)),
            row.verdict,
            row.what,
        )
        for number, row in enumerate(person.rows, 1)
    ]
    print_table("Prompt tokens that the engine reused", COLUMNS, rows, 110)
    prompt, reused = sum(row.prompt for row in person.rows), sum(row.reused for row in person.rows)
    expected = sum(row.expected for row in person.rows)
    sys.stdout.write(f"\nall: {prompt:,} prompt tokens, {reused:,} reused ({reused / prompt:.1%}), ")
    sys.stdout.write(f"at least {expected:,} expected\n")
    for line in person.trouble:
        sys.stdout.write(f"! {line}\n")
    sys.stdout.write("FAILED\n" if person.trouble else "each request reused all of the prompt before it\n")


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description="See scripts/real-engine.")
    parser.add_argument("python", help="the interpreter that has llama-cpp-python")
    parser.add_argument("model", type=Path, help="a GGUF file; the engine's log is written beside it")
    flags = parser.parse_args()
    options = ["--model", str(flags.model), "--model_alias", "noise", "--n_ctx", str(WINDOW), "--host", "127.0.0.1"]
    engine = Engine([flags.python, "-m", "llama_cpp.server", *options], flags.model.with_name("engine.log"))
    with tempfile.TemporaryDirectory(prefix="harness-engine-") as name, engine.serve() as url:
        person = Person(engine, url, Path(name))
        asyncio.run(person.session())
    report(person)
    return 1 if person.trouble else 0


if __name__ == "__main__":
    sys.exit(main())
