"""Runs the tool calls of one answer: check, permit, record, run, bound.

Invariant: a call that is wrong or refused runs nothing and still has a result; intent is on the disk before an effect;
results come in call order, whatever order they finished in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from harness.agent.session import Session
from harness.caches.tool_outputs import CALLER
from harness.conversation.blocks import Image, Message, Text, ToolCall, ToolResult
from harness.conversation.canonical import Json, clean
from harness.conversation.events import Event, Notice, Tell, ToolFinished, ToolStarted
from harness.conversation.stored import write_block
from harness.tools.base import Effect, Outcome, Tool, error
from harness.tools.output import Spill, entered
from harness.workspace.permissions import Subject


def _unheard(_: Event) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose call waits. skill: of the sub-agent that makes it; "": the session's own model does. tell: what goes on."""

    call_id: str = ""
    skill: str = ""
    tell: Tell = _unheard


NOBODY = Asker()
"""Of a call that is nobody's."""

Permit = Callable[[str, Subject, Asker], Awaitable[str]]
"""Why a call of the named tool is refused, for the model; "" where it may run. May wait for the person."""

SMALLEST = 2_000
"""Bytes that every result may have, however full the window is."""

IMAGES = 24_000_000
"""Bytes of images, as they are sent, that a conversation may carry: vendors refuse a request of more than 32 MB, and
what is sent once is sent with every later request."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A call and its tool, or why it must not run."""

    call: ToolCall
    tool: Tool | None
    refusal: str = ""

    @property
    def effect(self) -> Effect:
        """What it may change; of one that must not run, nothing."""
        if self.tool is None or self.refusal:
            return "none"
        tool = self.tool
        return tool.effect if tool.effect_of is None else tool.effect_of(self.call.arguments)


@dataclass(frozen=True, slots=True)
class _Finished:
    """A call that ended. seconds: since its group began."""

    item: Checked
    outcome: Outcome
    seconds: float


class ToolRunner:
    """Runs calls for one session.

    Args:
        tools: by name, as this program has them; a frozen definition without one gives a clear error.
        budget: bytes that the results of one answer may add, given the tokens of the last prompt and answer.
    """

    def __init__(
        self, session: Session, tools: Sequence[Tool], permit: Permit, spill: Spill, budget: Callable[[int], int]
    ) -> None:
        self._session = session
        self._tools = {tool.spec.name: tool for tool in tools}
        self._permit = permit
        self._spill = spill
        self._budget = budget
        self._images = 0
        """Bytes of images in the conversation and in the results so far."""

    async def run(self, calls: Sequence[ToolCall]) -> AsyncGenerator[Event]:
        """Run the calls and append their results to the conversation.

        Consecutive calls that change nothing run together, sub-agents that only read among them; any other call waits
        for those before it and holds those after it.
        """
        results: dict[str, ToolResult] = {}
        async with aclosing(self._run(calls, results)) as events:
            async for event in events:
                yield event
        self._session.add(Message("results", tuple(results[call.id] for call in calls)))
        await self._session.sync()

    async def resume(self, calls: Sequence[ToolCall]) -> AsyncGenerator[Event]:
        """Run those of calls that were cut off which go on where they were; their results are for `Session.heal`."""
        again = [call for call in calls if self._goes_on(call)]
        if again:
            async with aclosing(self._run(again, {})) as events:
                async for event in events:
                    yield event
            await self._session.sync()

    def _goes_on(self, call: ToolCall) -> bool:
        tool = self._tools.get(call.name)
        return tool is not None and tool.goes_on is not None and tool.goes_on(call.id)

    async def _run(self, calls: Sequence[ToolCall], results: dict[str, ToolResult]) -> AsyncGenerator[Event]:
        """Run calls; fills `results`, by the id of the call."""
        self._images = _bytes_of_images(entry.message for entry in self._session.history.entries)
        share = max(SMALLEST, self._budget(self._session.requests.last_prompt) // len(calls))
        for checked in _groups([self._check(call) for call in calls]):
            # only now: whoever is asked has seen what the calls before gave
            group: list[Checked] = []
            for item in checked:
                async with aclosing(self._permitted(item, group)) as told:
                    async for event in told:
                        yield event
            for item in group:
                yield ToolStarted(item.call.id, item.call.name, _summary(item.call))
            async with aclosing(self._together(group)) as happenings:
                async for happened in happenings:
                    if not isinstance(happened, _Finished):
                        yield happened
                        continue
                    item, outcome, seconds = happened.item, happened.outcome, happened.seconds
                    results[item.call.id] = self._record(item.call, outcome, share)
                    yield ToolFinished(item.call.id, item.call.name, outcome.shown, outcome.is_error, seconds)
                    while self._spill.lost:
                        yield Notice(self._spill.lost.pop())

    async def _together(self, group: Sequence[Checked]) -> AsyncGenerator[_Finished | Event]:
        """Run a group at once; give each as it finishes, and what is told meanwhile. A cancellation ends all."""
        # a question that a kill leaves without its answer has changed nothing: it is asked again
        acting = [item for item in group if item.effect not in ("none", "person")]
        for item in acting:
            self._session.record("intent", {"call_id": item.call.id, "tool": item.call.name})
        if acting:
            await self._session.sync()
        begun = self._session.seam.monotonic()
        happened: asyncio.Queue[Event | asyncio.Task[Outcome]] = asyncio.Queue()
        me = self._session.journal.id
        tasks = {asyncio.ensure_future(_run(item, me, happened.put_nowait)): item for item in group}
        for task in tasks:
            task.add_done_callback(happened.put_nowait)
        try:
            left = len(tasks)
            while left:
                found = await happened.get()
                if isinstance(found, asyncio.Task):
                    left -= 1
                    yield _Finished(tasks[found], found.result(), self._session.seam.monotonic() - begun)
                else:
                    yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _check(self, call: ToolCall) -> Checked:
        if call.invalid:
            return Checked(call, None, f"The call was not run: {call.invalid}. Send it again, whole and valid.")
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join(sorted(self._tools))
            return Checked(call, None, f"The call was not run: there is no tool {call.name!r}. Tools: {names}.")
        validator = Draft202012Validator(dict(tool.spec.schema))
        problem = best_match(validator.iter_errors(call.arguments))
        if problem is not None:
            where = "/".join(str(part) for part in problem.absolute_path)
            text = f"The call was not run: {f'`{where}`: ' if where else ''}{problem.message[:300]}"
            # a session may have been begun by a version whose definitions are others
            return Checked(call, tool, f"{text}. {_takes(tool)}")
        return Checked(call, tool)

    async def _permitted(self, item: Checked, group: list[Checked]) -> AsyncGenerator[Event]:
        """Put a call that may run into the group, or one that is refused; gives what is told meanwhile."""
        if item.tool is None or item.refusal:
            group.append(item)
            return
        told: asyncio.Queue[Event | None] = asyncio.Queue()
        asker = Asker(item.call.id, tell=told.put_nowait)
        waits = asyncio.ensure_future(self._permit(item.call.name, item.tool.subject(item.call.arguments), asker))
        waits.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (event := await told.get()) is not None:
                yield event
            group.append(replace(item, refusal=waits.result()))
        finally:
            waits.cancel()
            await asyncio.gather(waits, return_exceptions=True)

    def _fitting(self, image: Image) -> Image | Text:
        """The image, or why it is left out."""
        if self._images + len(image.data) <= IMAGES:
            self._images += len(image.data)
            return image
        carried, limit = self._images / 1e6, IMAGES / 1e6
        return Text(
            f"[an image is left out: this conversation carries {carried:.1f} MB of images already, and no more than "
            f"{limit:g} MB can be sent; make it smaller, or look at a part of it]"
        )

    def _record(self, call: ToolCall, outcome: Outcome, limit: int) -> ToolResult:
        """The result as the model gets it, journaled with what must be known after a resume."""
        blobs = self._session.journal.blobs
        for raw in outcome.blobs:
            blobs.put(raw)
        given = [self._fitting(p) if isinstance(p, Image) else Text(clean(p.text)) for p in outcome.content]
        lost = len(self._spill.lost)
        content = entered(given, limit, self._spill)
        result = ToolResult(call.id, content, outcome.is_error)
        done: dict[str, Json] = {"facts": dict(outcome.facts), "full": outcome.full, "limit": limit}
        if content != tuple(given):
            done["given"] = [write_block(part, blobs) for part in given]
            done["spill"] = str(self._spill.folder)
        if unkept := self._spill.lost[lost:]:
            done["unkept"] = unkept[0].partition(": ")[2]
        self._session.record("tool_done", {"result": write_block(result, blobs)} | done)
        return result


def _takes(tool: Tool) -> str:
    """The arguments of a tool as it is now, one line."""
    needed = tool.spec.schema.get("required", ())
    names = (name if name in needed else f"{name} (optional)" for name in tool.spec.schema.get("properties", {}))
    return f"{tool.spec.name} takes: {', '.join(names) or 'no arguments'}."


def _bytes_of_images(messages: Iterable[Message]) -> int:
    blocks = (block for message in messages for block in message.blocks)
    parts = (part for block in blocks for part in (block.content if isinstance(block, ToolResult) else (block,)))
    return sum(len(part.data) for part in parts if isinstance(part, Image))


async def _run(item: Checked, session: str, tell: Tell) -> Outcome:
    if item.refusal or item.tool is None:
        return error(item.refusal)
    CALLER.set((session, item.call.id))
    if item.tool.run_call is not None:
        return await item.tool.run_call(item.call.id, item.call.arguments, tell)
    return await item.tool.run(item.call.arguments)


def _groups(items: Sequence[Checked]) -> Iterator[list[Checked]]:
    """Runs of calls that change nothing, and every other call alone. What will not run waits for nobody."""
    group: list[Checked] = []
    for item in items:
        alone = item.effect not in ("none", "agent")
        if alone and group:
            yield group
            group = []
        group.append(item)
        if alone:
            yield group
            group = []
    if group:
        yield group


def _summary(call: ToolCall) -> str:
    """The argument that tells most, one line."""
    arguments: Mapping[str, object] = call.arguments
    for name in ("command", "path", "pattern", "name", "question", "url", "query"):
        if isinstance(value := arguments.get(name), str):
            return " ".join(value.split())[:200]
    return ""
