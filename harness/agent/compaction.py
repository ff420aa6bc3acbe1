"""Insert, then compress: the conversation summed up by a side request that reads its cache, then replaced by an epoch.

Invariant: until the one record that begins the epoch nothing is changed, so a compaction that fails, is cancelled or
is killed leaves the conversation as it was. A turn that was cut off still is, its open calls still open. What follows
the system blocks afterwards is bounded: session context, summary, and the last messages that fit. Earlier messages
stay in the journal, and in an archive that the summary says how to read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from importlib import resources

from harness.agent.archive import Archive, Section, write_archive
from harness.agent.compaction_rules import SUMMARY
from harness.agent.compaction_tail import AFTER_SYSTEM, clean, cut, size
from harness.agent.cut_turn import GO_ON, HEAD, cut_turn
from harness.agent.effort_change import on_its_line
from harness.agent.loop import Agent
from harness.agent.model_call import ModelCall
from harness.conversation import canonical
from harness.conversation.blocks import Message, Text
from harness.conversation.events import Event, Notice, ResponseDone, TextDelta, ThinkingDelta
from harness.conversation.request import FrozenPrefix
from harness.errors import CompactionFailed, ContextOverflow, ProviderError
from harness.tools.output import Spill, bound

SUMMARY_BYTES = 12_000
"""Of the model's summary; nine hundred words are 6,000 in most languages."""
CONTEXT_BYTES = 4_000
"""Kept free for the session context and the index of the archive."""
WORDS_BYTES = 2_000
"""Of the person's last words, where they are not among the messages that stay."""
STANDING_BYTES = 4_000
"""Of a task that stays."""
INDEX_LINES = 40
"""Sections of the archive that its index names one by one."""
EARLIER_ARCHIVES = 10
"""Archives of earlier compactions that it names."""
SHORTEST = 20
"""Characters below which an answer is no summary."""
ATTEMPTS = 2
"""To be given text: a model may want to call a tool first."""
TEXT_ONLY = "\n\n[The last try gave no text. No tool is run now: answer with the summary as text.]"


class Compactor:
    """Compacts the conversation of one agent.

    Args:
        freeze: gives tools and system blocks as they would be frozen today: rules, skills and versions that changed
            since the session began enter the prefix here.
        standing: what must stay word for word, of a sub-agent whose task is no words of a person.
    """

    def __init__(self, agent: Agent, freeze: Callable[[], FrozenPrefix], standing: str = "") -> None:
        self._agent = agent
        self._freeze = freeze
        self._standing = standing

    async def run(self, why: str, focus: str = "", *, full: bool = False) -> AsyncGenerator[Event]:
        """Compact; the last event is a notice of what became of it.

        Args:
            why: the trigger, for the journal.
            focus: what the person wants kept above all.
            full: the window cannot take the whole conversation any more.

        Raises:
            CompactionFailed, ProviderError: nothing was changed.
        """
        session = self._agent.session
        # an effort that was changed since the last request is another line, and the first request settles which
        self._agent.channel = on_its_line(session, self._agent.channel)
        conversation = [entry.message for entry in session.history.entries]
        first = self._first_kept(conversation)
        if first == len(conversation) and session.history.open_calls():
            raise CompactionFailed(
                "the last answer, whose calls wait for their results, is too large to stay as it is; go on with it "
                "(/continue), or say something else, and compact then"
            )
        if not any(message.tag in ("person", "answer", "results") for message in conversation[:first]):
            raise CompactionFailed("there is nothing to compact: what was said is short enough to stay as it is")
        before = session.requests.last_prompt
        asked = _Asked()
        async with aclosing(self._ask(focus, asked, self._ends()[1:] if full else self._ends())) as events:
            async for event in events:
                yield event
        self._begin(why, conversation, first, asked)
        await session.sync()
        after = sum(size(entry.message) for entry in session.history.entries)
        cost = f" for ${asked.cost:.4f}" if asked.cost else ""
        yield Notice(
            f"compacted ({why}){cost}: of {before:,} tokens about {after // 4:,} are left after the system blocks; "
            f"the last {len(conversation) - first} messages stay, {first} are in the archive"
        )

    def _first_kept(self, conversation: Sequence[Message]) -> int:
        """From where on messages stay; never the summary of an earlier compaction, which the new one holds."""
        summaries = (i for i, m in enumerate(conversation) if m.tag == "program" and m.text.startswith(HEAD))
        after = max(summaries, default=-1) + 1
        budget, largest = AFTER_SYSTEM - SUMMARY_BYTES - CONTEXT_BYTES, 3 * self._agent.channel.model.window // 4
        return after + cut(conversation[after:], budget, largest)

    async def _ask(self, focus: str, asked: _Asked, ends: Sequence[int | None]) -> AsyncGenerator[Event]:
        """Have the conversation summed up; `asked` is then filled. An overflow starts from an earlier message."""
        asks = 0
        for until in ends:
            try:
                while asks < ATTEMPTS and not asked.summary:
                    async with aclosing(self._ask_once(focus, until, asked, again=asks > 0)) as events:
                        async for event in events:
                            yield event
                    asks += 1
            except ContextOverflow:
                continue
            if not asked.summary:
                raise CompactionFailed("the model gave no summary, so nothing was changed; try again, or /clear")
            return
        raise CompactionFailed(
            "even the beginning of the conversation is too large for the model; use /clear or /rewind"
        )

    async def _ask_once(self, focus: str, until: int | None, asked: _Asked, *, again: bool) -> AsyncGenerator[Event]:
        agent = self._agent
        text = instruction(focus) + (TEXT_ONLY if again else "")
        channel = replace(agent.channel, max_tokens=min(agent.channel.max_tokens, 2 * SUMMARY))
        call = ModelCall(agent.session, channel, (Message("system_injected", (Text(text),)),), until)
        async with aclosing(call.run()) as events:
            async for event in events:
                if isinstance(event, ResponseDone):
                    asked.cost += event.cost or 0.0
                # the summary is no answer to the person
                if not isinstance(event, TextDelta | ThinkingDelta):
                    yield event
        answer = call.answer
        if isinstance(answer.error, ProviderError):
            raise answer.error
        if answer.stop == "model_context_window_exceeded":
            raise ContextOverflow("the summary did not fit")
        found = summary_in(answer.text) if answer.stop != "refusal" else ""
        asked.summary, asked.until = (found, until) if len(found) >= SHORTEST else ("", until)

    def _ends(self) -> Sequence[int | None]:
        """Where the side request may follow the conversation, the deepest first; None: at its very end.

        Behind that: where the line's last request ended, which was answered and is cached, then ever earlier. An answer
        whose calls are open is not followed: it stays, and the calls stay open.
        """
        session = self._agent.session
        answers = [index for index, entry in enumerate(session.history.entries) if entry.message.tag == "answer"]
        sent, _ = session.requests.sent.get(self._agent.channel.line.key, (None, 0))
        places = [index for index in answers if 0 < index <= (sent.messages if sent else answers[-1])]
        ends: list[int | None] = [None]
        if session.history.open_calls():
            ends, places = [answers[-1]], [index for index in places if index < answers[-1]]
        while places:
            ends.append(places[-1])
            places = places[: len(places) // 2]
        return ends

    def _begin(self, why: str, conversation: Sequence[Message], first: int, asked: _Asked) -> None:
        """Write all that the epoch needs, then the epoch, in one record."""
        session, agent = self._agent.session, self._agent
        spill = Spill(session.journal.folder / "outputs")
        archived, kept = conversation[:first], session.history.entries[first:]
        archive = write_archive(session.journal.folder, archived)
        unseen = max(0, first - asked.until) if asked.until is not None else 0
        parts = (
            HEAD,
            bound(canonical.clean(asked.summary), SUMMARY_BYTES, spill)[0],
            "" if any(entry.message.tag == "person" for entry in kept) else _words(archived, spill),
            bound(self._standing, STANDING_BYTES, spill)[0],
            index_of(archive, unseen),
            GO_ON if cut_turn(session) else "",
        )
        seqs = []
        if (told := agent.context({})) is not None:
            seqs.append(session.keep(told[0], told[1]))
        seqs.append(session.keep(Message("program", (Text("\n\n".join(filter(None, parts))),))))
        seqs += [session.keep(message, of=entry.seq) for entry in kept if (message := clean(entry.message))]
        session.begin_epoch(f"compaction: {why}", seqs, self._freeze())


class _Asked:
    """What was asked for and given so far. until: the messages that the summary is of; None: all. cost: USD."""

    def __init__(self) -> None:
        self.summary = ""
        self.until: int | None = None
        self.cost = 0.0


def instruction(focus: str = "") -> str:
    """What the model is told. focus: what the person wants kept above all."""
    text = resources.files("harness.prompt").joinpath("compaction.md").read_text("utf-8").strip()
    wish = " ".join(canonical.clean(focus).split())[:1_000]
    return f"{text}\n\n[The person asks to keep above all: {wish}]" if wish else text


def summary_in(text: str) -> str:
    """The summary of an answer: without tags or a code fence around all of it."""
    inner = re.search(r"<summary>(.*)</summary>", text, re.DOTALL)
    found = (inner[1] if inner else text).strip()
    fenced = re.fullmatch(r"```[a-z]*\n(.*)\n```", found, re.DOTALL)
    return (fenced[1] if fenced else found).strip()


def index_of(archive: Archive, unseen: int = 0) -> str:
    """How to read what was said before, by section; bounded.

    Args:
        unseen: how many of the last archived messages the summary could not take into account.
    """
    begin = f"[Archive: earlier messages, whole, are in {archive.path}. When a detail is missing, grep it or read the"
    shown, more = archive.sections[-INDEX_LINES:], archive.sections[:-INDEX_LINES]
    if more:
        shown = (Section(more[0].first, more[-1].last, f"{len(more)} earlier turns"), *shown)
    lines = [f"{begin} lines of a section:"]
    lines += [f"- lines {section.first}-{section.last}: {section.title}" for section in shown]
    if archive.earlier:
        names = ", ".join(path.name for path in archive.earlier[-EARLIER_ARCHIVES:])
        lines.append(f"Archives of earlier compactions, beside it: {names}.")
    if unseen:
        lines.append(f"The last {unseen} messages in it did not fit the window: the summary does not know of them.")
    return "\n".join([*lines, "]"])


def _words(archived: Sequence[Message], spill: Spill) -> str:
    """The person's last words, verbatim, where they are not among the messages that stay."""
    last = next((message.text for message in reversed(archived) if message.tag == "person"), "")
    return f"[The person's last words:]\n{bound(last, WORDS_BYTES, spill)[0]}" if last else ""
