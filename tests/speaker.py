"""A person at one session over real HTTP, in this process: says things, leaves, comes back.

Invariant: wired by `App`, as every run is; client and vendor share one clock.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.app import App
from harness.conversation.events import Event, Permission, Question, TurnEnded
from harness.conversation.lines import Record, read_records
from harness.options import Options
from harness.providers.handoff import NO_ANSWER
from harness.providers.retry import RetryPolicy
from harness.simulator import Received, Simulator, said
from tests.property.world import SharedClock, side_request
from tests.vendors import reach
from tests.waiting import PATIENCE


class Script:
    """A scripted model: the n-th answer of a conversation is the n-th given; past the end it says "Done."."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def __call__(self, request: dict[str, Any]) -> Any:
        spoken = (message for message in said(request) if message.speaker == "assistant")
        number = sum(message.texts != (NO_ANSWER,) for message in spoken)
        return self.answers[number] if number < len(self.answers) else "Done."


class Speaker:
    """See the module. `close` ends the session and the loop.

    Args:
        servers: vendors of their own by the name of their server, as in `tests.vendors`.
    """

    def __init__(
        self,
        simulator: Simulator,
        folder: Path,
        model: str = "claude-opus-4-8",
        servers: Mapping[str, Simulator] | None = None,
    ) -> None:
        self.simulator = simulator
        self.project = folder / "project"
        self.project.mkdir(exist_ok=True)
        servers = servers or {}
        self._all = [simulator, *servers.values()]
        addresses, catalog = reach(simulator, servers)
        environment = addresses | {"PATH": os.environ["PATH"], "HOME": str(folder / "home")}
        settings = folder / "home" / ".config" / "harness"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "catalog.toml").write_text(catalog)
        self.seam = SharedClock(simulator.clock, environment)
        self.options = Options(cwd=self.project, model=model)
        self._runner = asyncio.Runner()
        self.answers: list[str] | None = None
        """What the person answers to questions, from the next opening on; None: nobody is there."""
        self.asked: list[Question] = []
        self.thinks = 0.0
        """Seconds before they answer."""
        self.app = self._open(self.options)

    def _open(self, options: Options) -> App:
        asks = () if self.answers is None else (_no_permission,)
        app = App(options, self.seam, self._ask, *asks)
        app.agent.channel = replace(app.agent.channel, retry=RetryPolicy(retries=2, first=0.0))
        return app

    def say(
        self, words: str, *, until: Callable[[Event], bool] | None = None, injected: Sequence[str] = ()
    ) -> list[Event]:
        """One turn's events. `until`: after this event the listener goes away."""
        return self._runner.run(self._say(words, until, injected))

    async def _say(self, words: str, until: Callable[[Event], bool] | None, injected: Sequence[str]) -> list[Event]:
        seen = [event async for event in self.app.before_turn()]
        async with aclosing(self.app.agent.turn(words, injected=injected)) as events:
            async for event in events:
                seen.append(event)
                if until is not None and until(event):
                    break
        return seen

    async def _ask(self, question: Question) -> str | None:
        self.asked.append(question)
        if self.thinks:
            await asyncio.sleep(self.thinks)
        return self.answers.pop(0) if self.answers else None

    def change_effort(self, level: str) -> str:
        """What `/effort` does, and says."""
        return self._runner.run(self.app.change_effort(level))

    def stop_when(self, happened: Callable[[Sequence[Event]], object], words: str) -> None:
        """A turn that the person stops once its events show that something has happened, and before it has ended."""
        seen: list[Event] = []

        def note(event: Event) -> bool:
            seen.append(event)
            return False

        async def stopped() -> None:
            task = asyncio.ensure_future(self._say(words, note, ()))
            while not happened(seen):
                assert not task.done()
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task], timeout=PATIENCE)
            assert task.cancelled()

        self._runner.run(stopped())

    def answer(self, words: str) -> str:
        """What the model answered in the end."""
        end = self.say(words)[-1]
        assert isinstance(end, TurnEnded)
        return end.text

    def aside(self, instruction: str = "[Side request] Sum up.") -> str:
        """A side request's answer."""
        return str(self._runner.run(side_request(self.app.session, self.app.agent.channel, instruction)))

    def come_back(self, session: str | None = None, **changes: Any) -> None:
        """Leave, and open a session from its journal: this one, or the one named.

        One in which nothing was said is not kept: another begins then, in the same way.
        """
        untouched = session is None and self.app.session.untouched
        left = self.leave()
        options = self.options if untouched else replace(self.options, resume=session or left, model=None)
        self.app = self._open(replace(options, **changes))

    def begin_anew(self) -> None:
        """Leave, and begin another session in the same folder."""
        self.leave()
        self.app = self._open(self.options)

    def leave(self) -> str:
        """End the run; gives the session's id."""
        if self.app.session.journal.owned:
            self._runner.run(self.app.close())
        return self.id

    @property
    def id(self) -> str:
        return self.app.session.journal.id

    @property
    def folder(self) -> Path:
        return self.app.session.journal.folder

    def records(self, kind: str) -> Iterator[Record]:
        """The journal's records of a kind."""
        return (record for record in read_records(self.folder / "journal.jsonl") if record.kind == kind)

    def verdicts(self) -> list[str]:
        return [record.data["verdict"]["kind"] for record in self.records("response")]

    @property
    def everything(self) -> list[Received]:
        """The mainline requests of all vendors, each vendor's in order."""
        return [request for one in self._all for request in one.requests if request.kind == "mainline"]

    @property
    def mainline(self) -> list[Received]:
        return [request for request in self.simulator.requests if request.kind == "mainline"]

    def let_go(self) -> None:
        """Close the connections to the vendor in use."""
        self._runner.run(self.app.agent.channel.provider.close())

    def close(self) -> None:
        self.leave()
        self._runner.close()


async def _no_permission(_permission: Permission) -> str:
    """No."""
    return "no"
