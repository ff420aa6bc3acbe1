"""A screen with a conversation that only follows orders: `python scripted.py PERMISSIONS.json`, for tests of panels.

Orders, typed as ordinary input: `allow N` asks for the N-th permission of the file, `later` the first one in a while,
`pick` and `words` ask a question, `wait` streams for a while, `hold` and `read` last until `/done` and `read` then
takes what is queued, `fail` and `bug` raise. The answer comes back as a notice. `/slowly` is a command that takes time.
What takes time goes on until there is a file `enough` in the folder.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from harness.audit.totals import Totals
from harness.conversation.blocks import Usage
from harness.conversation.events import Event, Notice, Permission, Question, TextDelta, TurnEnded
from harness.errors import HarnessError, UsageError
from harness.ui import slash
from harness.ui.tui import Terminal


class Orders:
    """A conversation for `Terminal`."""

    def __init__(self, terminal: Terminal, permissions: Sequence[str]) -> None:
        self._terminal = terminal
        self._permissions = permissions
        self._queue: list[str] = []
        self.session_id, self.model, self.mode = "20260101-000000-test", "anthropic/test", "ask"
        self.totals = Totals(1, Usage(10, 30), 0.5)
        self.resumable = False
        self._done = asyncio.Event()
        self.commands: dict[str, slash.Command] = {
            "cost": slash.Command("/cost", "the cost", lambda _: ["cost"]),
            "cache": slash.Command("/cache", "the cache", lambda _: ["cache"]),
            "model": slash.Command("/model [NAME]", "another model", self._model, "with argument"),
            "done": slash.Command("/done", "let it end", self._end),
            "slowly": slash.Command("/slowly [WORDS]", "takes its time", self._slowly, "always"),
        }

    async def run(self, text: str) -> AsyncGenerator[Event]:
        order, _, rest = text.partition(" ")
        match order:
            case "allow":
                answer = await self._terminal.ask_permission(
                    Permission("shell", self._permissions[int(rest)], "shell(rm *)")
                )
                yield Notice(f"answer: {answer}")
            case "pick":
                picked = await self._terminal.ask(Question("Which \x1b[31mcolour?", ("red", "green")))
                yield Notice(f"answer: {picked!r}")
            case "words":
                yield Notice(f"answer: {await self._terminal.ask(Question('Why?'))!r}")
            case "later":
                yield TextDelta("piece 0\n")
                await enough()
                asked = Permission("shell", self._permissions[0], "shell(rm *)")
                yield Notice(f"answer: {await self._terminal.ask_permission(asked)}")
            case "wait":
                yield TextDelta("piece 0\n")
                await enough()
                yield TextDelta("the last piece\n")
            case "hold" | "read":
                yield TextDelta("holding\n")
                await self._done.wait()
                for words in self.take_queued() if order == "read" else ():
                    yield Notice(f"read {words!r}")
            case "fail":
                await enough()
                raise HarnessError("the vendor said no")
            case "bug":
                raise ZeroDivisionError("a bug")
            case _:
                yield TextDelta(f"heard {text!r}")
        yield TurnEnded("done", "")

    def steer(self, text: str) -> None:
        self._queue.append(text)

    def queued(self) -> Sequence[str]:
        return tuple(self._queue)

    def take_queued(self) -> Sequence[str]:
        taken, self._queue = tuple(self._queue), []
        return taken

    def idle_delay(self) -> float | None:
        return None

    async def idle(self) -> AsyncGenerator[Event]:
        yield Notice("idle")

    def _model(self, name: str) -> Sequence[str]:
        if name == "none":
            raise UsageError("no such model: none")
        self.model = name or self.model
        return [f"now {name}"]

    def _end(self, _: str) -> Sequence[str]:
        self._done.set()
        return []

    async def _slowly(self, words: str) -> slash.Stream:
        """A command that takes time: a line, a notice, then the end, by an error where `words` is "badly"."""
        yield f"begun {words}"
        await enough()
        if words == "badly":
            raise HarnessError("it did not work")
        yield Notice(f"finished {words}")


async def enough() -> None:
    """Wait for the file that ends what takes time."""
    while not Path("enough").exists():  # noqa: ASYNC110, ASYNC240 - a file tells nobody
        await asyncio.sleep(0.02)


async def main(permissions: Sequence[str]) -> int:
    terminal = Terminal(None, time.monotonic)
    orders = Orders(terminal, permissions)
    return await terminal.run(orders, orders.commands)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()))))
