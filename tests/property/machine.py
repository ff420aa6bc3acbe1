"""What can happen to a session, as rules of a state machine: no sent byte may move, whatever their order.

Invariant: every rule is something that people do; after each one all facts are checked on what the vendors received
and on the journal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import hypothesis
import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from harness.conversation.events import (
    Event,
    Progress,
    RequestSent,
    ResponseDone,
    SubAgentDone,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
)
from harness.simulator import Fault
from tests.property.delegates import Context
from tests.property.world import DAY, Item, World

EFFORTS = ("low", "medium", "max")  # "high" is the vendor's default: the same line as none at all
PAUSES = (0.5, 20.0, 150.0, 299.0, 301.0, 900.0, 3_500.0, 3_700.0)
SKILLS = ("deploy", "triage", "zoo")
STEPS = 14
SMALL_WINDOW = 20_000
"""Tokens that a client believes a model to take: it compacts by itself at 7,000."""
PASTED = (3_000, 12_000)
"""Bytes of long words: of the larger, a compaction keeps none but the last."""
CRASHES = (RequestSent, TextDelta, ResponseDone, ToolStarted, ToolFinished)
"""Events at which a process is killed: before a request, within an answer, behind it, and among its tools."""
CALL: list[Item] = [{"call": "todo", "input": {"items": []}}]
SUMMARIES: tuple[list[Any], ...] = ([], [], [], [CALL], [CALL, CALL], [[{"text": "Short."}], CALL])
"""What a model answers when it is to sum up; a good summary after those, and at most two are asked for."""

# Many small ones, the edges of a look-back of twenty positions (a call and its result are one each), and the largest.
counts = st.sampled_from([1] * 8 + [2] * 7 + [3] * 5 + [4] * 3 + [9, 10, 19, 20, 21, 24, 60, 200])
# "[Side request" is how the pretend vendor knows one, and strings of this code are tried as words
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip()) and "[Side request" not in text
)


@dataclass(frozen=True)
class Calls:
    """An answer that calls tools; `head`: what comes before the calls. Written small, because a failure prints it."""

    head: tuple[tuple[str, str], ...]
    kind: str
    count: int

    def items(self) -> list[Item]:
        return [{kind: text} for kind, text in self.head] + [_call(self.kind, number) for number in range(self.count)]


def _call(kind: str, number: int) -> Item:
    match kind:
        case "todo":
            return {"call": "todo", "input": {"items": [{"status": "pending", "text": f"step {number}"}]}}
        case "read":
            return {"call": "read", "input": {"path": "notes.txt", "offset": number % 20 + 1, "limit": 2}}
        case "write":
            return {"call": "write", "input": {"path": f"out/{number}.txt", "content": f"{number}\n"}}
        case _:
            return _odd_call(number)


def _odd_call(number: int) -> Item:
    """Calls that are wrong, among some that are not."""
    odd: list[Item] = [
        {"call": "nope", "input": {}},
        {"call": "todo", "raw_input": '{"items": ['},
        {"call": "todo", "input": {"items": 7}},
        _call("todo", number),
        _call("write", number),
    ]
    return odd[number % len(odd)]


@st.composite
def answers(draw: st.DrawFn) -> Calls:
    """One answer that calls tools, with or without thinking and words before; few kinds, any number."""
    head: list[tuple[str, str]] = []
    if draw(st.booleans()):
        head.append(("thinking", draw(words)))
    if draw(st.booleans()):
        head.append(("text", draw(words)))
    kind = draw(st.sampled_from(["todo", "todo", "read", "write", "mixed"]))
    count = draw(counts)
    return Calls(tuple(head), kind, count if kind == "todo" else min(count, 24))


Jobs = list[tuple[Context, list[Calls]]]
job = st.tuples(st.sampled_from(["fork", "fresh"]), st.lists(answers(), max_size=2))


def carried(jobs: Jobs) -> list[tuple[Context, list[list[Item]]]]:
    """What each sub-agent answers."""
    return [(context, [one.items() for one in plan]) for context, plan in jobs]


class Nth:
    """The n-th event of some kinds, or the last of them where there are fewer: never."""

    def __init__(self, kinds: tuple[type[Event], ...], number: int) -> None:
        self._kinds = kinds
        self._left = number

    def __call__(self, event: Event) -> bool:
        self._left -= isinstance(event, self._kinds)
        return self._left <= 0 and isinstance(event, self._kinds)


class AnyOrder(RuleBasedStateMachine):
    """A person, a project, vendors; `make` gives a fresh world. `models`: as on the command line."""

    make: ClassVar[Callable[[], World]]
    models: ClassVar[Sequence[str]]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make()
        self.turns = 0
        self.begun = False

    @initialize(
        data=st.data(),
        ttl=st.sampled_from(["5m", "5m", "1h"]),
        window=st.sampled_from([None, None, SMALL_WINDOW]),
        snapshots=st.sampled_from([False, False, True]),
        keeps=st.sampled_from([None, None, "user"]),
    )
    def begin(self, data: st.DataObject, ttl: str, window: int | None, snapshots: bool, keeps: str | None) -> None:
        self.world.begin(data.draw(st.sampled_from(self.models)), ttl, window, snapshots=snapshots, keeps=keeps)
        self.begun = True

    @rule(text=words)
    def person_speaks(self, text: str) -> None:
        self.world.turn(text, [[{"text": f"I heard: {text}"}]])

    @rule(plan=st.lists(answers(), min_size=1, max_size=3))
    def model_uses_tools(self, plan: list[Calls]) -> None:
        self.world.turn("Go on.", [*(one.items() for one in plan), [{"thinking": "So."}, {"text": "That is done."}]])

    @rule(plan=st.lists(answers(), min_size=2, max_size=2), said=st.lists(words, min_size=1, max_size=2))
    def person_steers(self, plan: list[Calls], said: list[str]) -> None:
        self.world.turn("Look around.", [one.items() for one in plan], steering=said)

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(days=st.integers(1, 2), early=st.floats(0, 60))
    def midnight_passes(self, days: int, early: float) -> None:
        self.world.clock.advance(DAY * days - self.world.seam.now() % DAY + early)

    @rule(text=words)
    def rules_are_edited(self, text: str) -> None:
        self.world.write_rules(f"{text}\n")

    @rule(name=st.sampled_from(SKILLS), text=st.sampled_from(["Ships it.", "Sorts it.", None]))
    def skill_changes(self, name: str, text: str | None) -> None:
        self.world.write_skill(name, text)

    @rule(
        number=st.integers(1, 5),
        style=st.sampled_from(["cancel", "close"]),
        answer=answers(),
    )
    def person_interrupts_the_answer(self, number: int, style: str, answer: Calls) -> None:
        self.world.turn("Tell me.", [answer.items()], Nth((TextDelta, ThinkingDelta), number), style)

    @rule(
        kind=st.sampled_from([ToolStarted, ToolFinished]),
        number=st.integers(1, 30),
        style=st.sampled_from(["cancel", "close"]),
        answer=answers(),
    )
    def person_interrupts_the_tools(self, kind: Any, number: int, style: str, answer: Calls) -> None:
        self.world.turn("Run them.", [answer.items()], Nth((kind,), number), style)

    @rule(
        kind=st.sampled_from(["drop", "error_event", "malformed"]),
        after=st.integers(0, 14),
        times=st.sampled_from([1, 1, 1, 2, 3, 4]),
        answer=answers(),
    )
    def stream_breaks(self, kind: Any, after: int, times: int, answer: Calls) -> None:
        for _ in range(times):
            self.world.fault(Fault(kind, after=after))
        self.world.turn("Try.", [answer.items(), [{"text": "So it is."}]])

    @rule(status=st.sampled_from([400, 429, 500, 529]), times=st.integers(1, 4))
    def vendor_refuses(self, status: int, times: int) -> None:
        self.world.fault(Fault("status", status=status, times=times))
        self.world.turn("Again.", [[{"text": "There."}]])

    @rule()
    def side_request(self) -> None:
        if self.world.branch.last:
            self.world.side()

    @rule(fresh=st.booleans())
    def resume_in_a_new_process(self, fresh: bool) -> None:
        self.world.reopen(fresh=fresh)

    @rule()
    def another_version_was_here(self) -> None:
        self.world.reopen(other_version=True)

    @rule(
        kind=st.sampled_from(CRASHES),
        number=st.integers(1, 30),
        plan=st.lists(answers(), min_size=1, max_size=2),
    )
    def process_is_killed(self, kind: Any, number: int, plan: list[Calls]) -> None:
        killed = self.world.killed("Work.", [one.items() for one in plan], Nth((kind,), number))
        hypothesis.event(f"killed at {kind.__name__}: {killed}")

    @rule(plan=st.lists(answers(), max_size=2))
    def a_turn_that_was_cut_off_goes_on(self, plan: list[Calls]) -> None:
        hypothesis.event(f"went on: {self.world.go_on([one.items() for one in plan])}")

    # ------------------------------------------------------------------------ sub-agents and answers that were kept

    @rule(jobs=st.lists(job, min_size=1, max_size=4), beside=st.lists(answers(), max_size=1))
    def sub_agents_work(self, jobs: Jobs, beside: list[Calls]) -> None:
        also = [item for one in beside for item in one.items()]
        self.world.turn("Have it looked at.", [also + self.world.delegation(carried(jobs))])
        hypothesis.event(f"{len(jobs)} sub-agents")

    @rule(
        jobs=st.lists(job, min_size=1, max_size=4),
        kind=st.sampled_from([Progress, SubAgentDone]),
        number=st.integers(1, 8),
        style=st.sampled_from(["cancel", "close", "kill"]),
    )
    def sub_agents_are_cut_off(self, jobs: Jobs, kind: Any, number: int, style: str) -> None:
        words, plan, at = "Have it looked at.", [self.world.delegation(carried(jobs))], Nth((kind,), number)
        if style == "kill":
            hypothesis.event(f"killed among sub-agents: {self.world.killed(words, plan, at)}")
        else:
            self.world.cut_off(words, plan, at, style)

    @rule(answer=answers(), text=words)
    def the_same_is_said_again(self, answer: Calls, text: str) -> None:
        served = self.world.say_again(text, [answer.items(), [{"text": "Well."}]])
        hypothesis.event(f"answers given again: {served}")

    @rule(data=st.data())
    def model_switches(self, data: st.DataObject) -> None:
        self.world.reopen(model=data.draw(st.sampled_from(self.models)))

    @rule(effort=st.sampled_from(EFFORTS))
    def effort_changes(self, effort: str) -> None:
        if effort in (self.world.app.model.efforts or ()):
            # a session keeps the model it last spoke to, which need not be the one it was left with
            self.world.reopen(model=self.world.app.model.id, effort=effort)

    @precondition(lambda self: len(self.world.branches) < 4)
    @rule()
    def fork(self) -> None:
        self.world.reopen(fork=True)

    @precondition(lambda self: len(self.world.branches) > 1)
    @rule(data=st.data())
    def go_to_another_branch(self, data: st.DataObject) -> None:
        self.world.reopen(data.draw(st.sampled_from(sorted(self.world.branches))))

    # --------------------------------------------------------------------------------- what begins an epoch

    @rule(place=st.integers(0, 12))
    def person_goes_back(self, place: int) -> None:
        self.world.rewind(place)

    @rule(undone=st.integers(1, 3), redone=st.integers(0, 3))
    def person_undoes(self, undone: int, redone: int) -> None:
        for _ in range(undone):
            self.world.undo()
        for _ in range(redone):
            self.world.redo()

    @rule()
    def person_redoes(self) -> None:
        self.world.redo()

    @rule(said=st.lists(st.sampled_from(PASTED), max_size=2), summaries=st.sampled_from(SUMMARIES))
    def person_compacts(self, said: list[int], summaries: list[Any]) -> None:
        for size in said:
            self.world.turn("x" * size, [[{"thinking": "Long."}, {"text": "Read."}]])
        hypothesis.event(f"asked for: {self.world.compact(summaries)} compactions")

    @rule(
        fault=st.sampled_from(
            [Fault("status", status=529, times=4), Fault("status", status=400), Fault("drop", after=4)]
        ),
        size=st.sampled_from(PASTED),
    )
    def compaction_fails(self, fault: Fault, size: int) -> None:
        self.world.turn("x" * size, [[{"text": "Read."}]])
        self.world.fault(fault)
        self.world.compact()

    @rule(style=st.sampled_from(["cancel", "close"]), kind=st.sampled_from([RequestSent, Event]))
    def person_interrupts_a_compaction(self, style: str, kind: Any) -> None:
        self.world.turn("x" * max(PASTED), [[{"text": "Read."}]])
        self.world.compact((), Nth((kind,), 1), style)

    @rule(size=st.sampled_from(PASTED))
    def person_pastes(self, size: int) -> None:
        self.world.turn("y" * size, [[{"text": "Read."}]])

    @rule()
    def person_clears(self) -> None:
        self.world.clear()

    @invariant()
    def facts_hold(self) -> None:
        if self.begun:
            self.world.check()

    def teardown(self) -> None:
        if not self.begun:
            return
        self.world.close()
        if sys.exception() is None:  # or it would stand in front of what failed first
            self.world.prove()
        self.world.remove()


def run(machine: type[AnyOrder], make: Callable[[], World], examples: int) -> None:
    """Try a machine, each example in a world of its own."""
    run_state_machine_as_test(
        type(machine.__name__, (machine,), {"make": staticmethod(make)}),
        settings=settings(
            max_examples=max(1, examples), stateful_step_count=STEPS, suppress_health_check=list(HealthCheck)
        ),
    )
