"""A model that fails for good: another stands in, the turn goes on, and the way back reads all that was cached."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.conversation.events import Event, Notice, TurnEnded
from harness.errors import (
    AuthFailed,
    BadRequest,
    Forbidden,
    MissingKey,
    Overloaded,
    ProviderError,
    Temporary,
    UnknownModel,
    UsageError,
)
from harness.simulator import Fault, Simulator
from harness.simulator.conversation import last_user_text
from harness.simulator.faults import fault_from
from tests.agent.test_subagent_resumption import cut, go_on
from tests.delegating import FORK, FRESH, Brain, call, children, done, records, results, skill, tool
from tests.property.world import SharedClock
from tests.speaker import Speaker

Start = Callable[..., Simulator]
Begin = Callable[..., "Talk"]

READ = {"call": "read", "input": {"path": "notes.txt"}}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "anthropic": ("anthropic/claude-sonnet-5-5", "", {}),
    "responses": ("openai/gpt-6.1-sol", "openai", {}),
    "deepseek": (
        "openai-chat/deepseek/deepseek-v4-pro",
        "deepseek",
        {"profile": "deepseek", "strict_alternation": True, "reasoning_echo": "all"},
    ),
    "vllm": ("openai-chat/vllm/qwen3-coder-30b", "vllm", {"profile": "vllm", "strict_alternation": True}),
}
PAIRS = [("anthropic", "responses"), ("responses", "anthropic"), ("anthropic", "vllm"), ("deepseek", "anthropic")]
PAIRS += [("responses", "deepseek"), ("vllm", "responses")]


def brain(request: dict[str, Any]) -> Any:
    """Reads twice on "look", then answers."""
    if "look" not in last_user_text(request):
        return "So it is."
    return [{"thinking": f"thought of {request['model']}"}, {"text": "I read it."}, READ, READ]


@dataclass
class Talk:
    """A person at the model `home`, for which `other` stands in; each has a vendor of its own."""

    person: Speaker
    home: str
    other: str
    vendors: dict[str, Simulator]

    def say(self, words: str) -> list[Event]:
        return self.person.say(words)

    def down(self, model: str, **fault: Any) -> None:
        """The model's next call fails for good: the first model is sent three times, the other once."""
        times = 3 if model == self.home else 1
        self.vendors[model].fault(fault_from({"kind": "status", "status": 529, "times": times} | fault))

    def models(self) -> list[str]:
        """The models that answered, in order."""
        asked = {record.seq: record.data["model"] for record in self.person.records("request")}
        return [asked[record.data["request"]] for record in self.person.records("response")]

    def told(self) -> list[str]:
        """The models that were told to the model."""
        entries = self.person.app.session.history.entries
        texts = [e.message.text for e in entries if e.message.tag == "system_injected"]
        return [text.split("Current model: ")[1].split(". OS")[0] for text in texts]

    def check(self) -> None:
        """Each line is extended and read whole; thinking goes to its maker only."""
        for model, vendor in self.vendors.items():
            requests = [one for one in vendor.requests if one.model == model.rpartition("/")[2]]
            for before, after in pairwise(requests):
                assert after.extends(before)
                assert after.read == after.perfect_read, after.explain
                # from one entry to the next, as the vendor counts
                assert after.read > 0.8 * before.prompt_tokens, after.explain
            for request in requests:
                assert set(re.findall(rb"thought of ([^\"]+)", request.body)) <= {request.model.encode()}
        assert set(self.person.verdicts()) <= {"first", "hit"}


@pytest.fixture
def begin(simulator: Start, tmp_path: Path) -> Iterator[Callable[..., Talk]]:
    """`begin("anthropic", "responses")`: see `Talk`. `settings`: more of them. `mind`: of both vendors."""
    begun: list[Speaker] = []

    def make(first: str, second: str, settings: str = "", mind: Any = brain) -> Talk:
        main = simulator(mind)
        rules = {server: given for _, server, given in (MODELS[first], MODELS[second]) if server}
        servers = {server: simulator(mind, clock=main.clock, **given) for server, given in rules.items()}
        person = Speaker(main, tmp_path, MODELS[first][0], servers)
        begun.append(person)
        config = tmp_path / "home" / ".config" / "harness" / "config.toml"
        network = "[network]\nmax_retries = 0\nidle_timeout = 1\n"
        fallback = f'fallback_model = "{MODELS[second][0]}"\n'
        config.write_text(f'{fallback}{settings}[cache]\nttl = "1h"\n{network}')
        (person.project / "notes.txt").write_text("note\n" * 200)
        person.begin_anew()
        vendors = {MODELS[one][0]: servers.get(MODELS[one][1], main) for one in (first, second)}
        return Talk(person, MODELS[first][0], MODELS[second][0], vendors)

    yield make
    for one in begun:
        one.close()


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def end(events: list[Event]) -> tuple[str, str]:
    last = events[-1]
    assert isinstance(last, TurnEnded)
    return last.reason, last.text


class Behind(SharedClock):
    """A clock that was set back by a year."""

    def now(self) -> float:
        return super().now() - 365 * 86_400


@pytest.mark.refusals(reason="the first vendor is down")
def test_a_clock_that_is_set_back_does_not_keep_the_other_model(begin: Begin) -> None:
    talk = begin("anthropic", "responses")
    person = talk.person
    talk.down(talk.home)
    talk.say("Have a look.")
    assert talk.models()[-1] == talk.other
    person.seam = Behind(person.simulator.clock, person.seam.environment())
    person.come_back()
    assert notices(talk.say("And now?")) == [f"back to {talk.home}"]


@pytest.mark.refusals(reason="the first vendor is down")
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_turn_goes_on_and_comes_back(first: str, second: str, begin: Begin) -> None:
    talk = begin(first, second)
    home, other, person = talk.home, talk.other, talk.person
    talk.say("Have a look.")
    talk.down(home)
    events = talk.say("Once more, look.")
    assert end(events) == ("done", "So it is.")
    [notice] = notices(events)
    assert re.fullmatch(rf"{home} failed: 529: .*; {other} stands in, for 30 min", notice), notice
    talk.say("And now?")
    person.simulator.clock.advance(60)
    person.come_back()
    events = talk.say("Still, look?")
    [notice] = notices(events)
    assert re.fullmatch(rf"{home} failed \(529: .*\): {other} stands in for 29 min more", notice), notice
    person.simulator.clock.advance(1741)
    assert notices(talk.say("Back, have a look.")) == [f"back to {home}"]
    assert notices(talk.say("And?")) == []

    assert talk.models() == [home] * 2 + [other] * 5 + [home] * 3
    assert talk.told() == [one.rpartition("/")[2] for one in (home, other, home)]
    assert person.app.model.id == home
    [record] = person.records("fallback")
    assert (record.data["model"], record.data["to"], "529" in record.data["reason"]) == (home, other, True)
    assert [over.data["why"] for over in person.records("fallback_over")] == ["its time is over"]
    talk.check()


@pytest.mark.refusals(reason="the first vendor is down")
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_it_waits_for_complete_results(first: str, second: str, begin: Begin) -> None:
    talk = begin(first, second)
    talk.say("Is it so?")
    # the answer with the calls comes, and what is behind its results fails
    vendor = talk.vendors[talk.home]

    def last_words(request: dict[str, Any]) -> Any:
        vendor.fault(Fault("status", status=503, times=3))
        return brain(request)

    vendor.brain = last_words
    events = talk.say("Have a look.")
    vendor.brain = brain

    assert end(events) == ("done", "So it is.")
    assert talk.models() == [talk.home, talk.home, talk.other]
    tags = [entry.message.tag for entry in talk.person.app.session.history.entries]
    assert tags[-5:] == ["answer", "results", "system_injected", "program", "answer"]
    # and back, over what the other one said
    talk.person.app.switch(talk.home)
    assert end(talk.say("Look again.")) == ("done", "So it is.")
    assert [over.data["why"] for over in talk.person.records("fallback_over")] == ["the person chose a model"]
    talk.check()


FAULTS: dict[str, dict[str, Any]] = {
    "rate limited": {"status": 429},
    "a wait that is too long": {"status": 429, "headers": {"retry-after": "9999"}, "times": 1},
    "no way to it": {"kind": "reset"},
    "spent": {"status": 402, "times": 1},
    "broke before a word": {"kind": "drop"},
    "silent": {"kind": "late", "seconds": 1.5},
}


@pytest.mark.refusals(reason="the first vendor is down")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("first", "second"), [("anthropic", "responses"), ("responses", "vllm"), ("vllm", "anthropic")]
)
def test_what_another_vendor_cures(fault: str, first: str, second: str, begin: Begin) -> None:
    talk = begin(first, second)
    talk.say("Is it so?")
    talk.down(talk.home, **FAULTS[fault])
    assert end(talk.say("Is it still so?")) == ("done", "So it is.")
    assert talk.models()[-1] == talk.other


@pytest.mark.refusals(reason="the refusals are the test")
@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadRequest), (401, AuthFailed), (403, Forbidden), (404, UnknownModel)]
)
def test_what_is_the_persons_to_mend_is_said(status: int, kind: type[ProviderError], begin: Begin) -> None:
    talk = begin("anthropic", "responses")
    talk.down(talk.home, status=status, times=1)
    with pytest.raises(kind):
        talk.say("Is it so?")
    assert talk.vendors[talk.other].requests == []
    assert list(talk.person.records("fallback")) == []


@pytest.mark.refusals(reason="both vendors are down")
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_where_both_fail_one_line_says_so_and_the_conversation_is_valid(first: str, second: str, begin: Begin) -> None:
    talk = begin(first, second)
    home, other = talk.home, talk.other
    talk.say("Have a look.")
    for _ in range(2):
        talk.down(home)
        talk.down(other, status=429)
        with pytest.raises(Temporary) as failed:
            talk.say("Once more, look.")
        assert re.fullmatch(rf"{home} failed: 529: .*; {other} failed too: 429: .*", str(failed.value))
        assert "\n" not in str(failed.value)
    assert end(talk.say("And now, look?")) == ("done", "So it is.")

    assert talk.models() == [home] * 4
    assert [over.data["why"] for over in talk.person.records("fallback_over")] == ["both failed"] * 2
    talk.check()


@pytest.mark.refusals(reason="both vendors are down, one after the other")
def test_where_the_stand_in_fails_it_goes_back_at_once_and_never_to_and_fro(begin: Begin) -> None:
    talk = begin("anthropic", "responses")
    talk.down(talk.home)
    talk.say("Have a look.")
    talk.down(talk.other)
    events = talk.say("Is it so?")
    assert end(events) == ("done", "So it is.")
    [notice] = notices(events)
    assert notice.startswith(f"{talk.other} failed: 529")
    assert notice.endswith(f"back to {talk.home}")
    assert talk.models()[-1] == talk.home
    # one change in a turn, and no more
    talk.down(talk.home)
    talk.say("And now?")
    talk.down(talk.other)
    talk.down(talk.home)
    with pytest.raises(Overloaded, match="failed too"):
        talk.say("And now?")
    talk.say("At last?")
    assert talk.models()[-1] == talk.home
    talk.check()


def test_a_stand_in_that_cannot_be_reached_is_said_at_once(begin: Begin) -> None:
    talk = begin("anthropic", "responses")
    talk.say("Is it so?")
    left = talk.person.leave()
    config = talk.person.project.parent / "home" / ".config" / "harness" / "config.toml"
    config.with_name("catalog.toml").write_text("")  # no address and key for servers that are not there
    for model, kind in (("nobody/knows", UsageError), ("openai-chat/groq/x", MissingKey)):
        config.write_text(f'fallback_model = "{model}"\n')
        with pytest.raises(kind):
            talk.person.come_back(session=left)


@pytest.mark.refusals(reason="the vendor is down")
def test_no_fallback_and_the_same_model_change_nothing(begin: Begin) -> None:
    talk = begin("anthropic", "anthropic")
    talk.down(talk.home)
    with pytest.raises(Overloaded, match=r"^529"):
        talk.say("Is it so?")
    assert list(talk.person.records("fallback")) == []


def goes_down(vendor: Simulator, times: int) -> None:
    """After its next answer the vendor is down for that many requests."""
    mind = vendor.brain

    def last_words(request: dict[str, Any]) -> Any:
        vendor.brain = mind
        vendor.fault(Fault("status", status=529, times=times))
        return mind(request)

    vendor.brain = last_words


def of_child(talk: Talk, index: int = 0) -> list[str]:
    """The models that a sub-agent itself was answered by."""
    asked = {record.seq: record.data["model"] for record in records(children(talk.person)[index], "request")}
    [born] = records(children(talk.person)[index], "born")
    answered = records(children(talk.person)[index], "response")
    return [asked[record.data["request"]] for record in answered if record.seq > born.seq]


LOOKS = {"alpha": [[tool("glob", pattern="*")], "It is so."]}


@pytest.mark.refusals(reason="the first vendor is down")
@pytest.mark.parametrize("front", [FRESH, FORK], ids=["fresh", "fork"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_sub_agent_goes_on_with_the_stand_in(first: str, second: str, front: str, begin: Begin) -> None:
    talk = begin(first, second, mind=Brain(["Hello.", [call("see", "alpha")], "Thanks."], LOOKS))
    skill(talk.person.project, "see", front)
    talk.say("One.")
    goes_down(talk.vendors[talk.home], 3)
    events = talk.say("Two.")

    assert end(events) == ("done", "Thanks.")
    assert results(talk.person) == ["It is so."]
    assert talk.models() == [talk.home] * 3, "its caller tries its own model again"
    assert of_child(talk) == [talk.other] * 2
    [notice] = notices(events)
    wanted = rf"sub-agent see: {talk.home} failed: 529: .*; {talk.other} stands in, until it ends"
    assert re.fullmatch(wanted, notice), notice
    [child], [told] = done(events), talk.person.records("subagent")
    assert (child.model, told.data["model"], child.first_read) == (talk.other, talk.other, 0)
    assert list(talk.person.records("fallback")) == []
    one, two = talk.vendors[talk.other].requests
    assert two.extends(one)
    assert two.read == two.perfect_read > 0, two.explain
    context = f"Current model: {talk.other.rpartition('/')[2]}"
    assert context.encode() in one.body


@pytest.mark.refusals(reason="the first vendor is down")
@pytest.mark.branches(reason="three sub-agents begin anew", times=2)
def test_of_sub_agents_that_move_together_one_goes_first(begin: Begin) -> None:
    names = ["alpha", "beta", "gamma"]
    mind = Brain([[call("see", name) for name in names], "Thanks."], {name: [f"Report {name}."] for name in names})
    mind.delay = 0.1
    talk = begin("anthropic", "responses", mind=mind)
    skill(talk.person.project, "see", FRESH)
    goes_down(talk.vendors[talk.home], 9)
    events = talk.say("Look.")

    assert results(talk.person) == [f"Report {name}." for name in names]
    firsts = sorted(child.first_read or 0 for child in done(events))
    assert firsts[0] == 0
    assert firsts[1] == firsts[2] > 0, "those that waited read what the first one wrote"


@pytest.mark.refusals(reason="both vendors are down, one after the other")
@pytest.mark.parametrize(
    "front",
    [
        pytest.param(FRESH, marks=pytest.mark.branches(reason="a sub-agent begins anew", times=1), id="fresh"),
        pytest.param(FORK, id="fork"),
    ],
)
def test_a_sub_agent_of_a_stand_in_goes_back_where_that_fails(front: str, begin: Begin) -> None:
    talk = begin("anthropic", "responses", mind=Brain(["Hello.", [call("see", "alpha")], "Thanks."], LOOKS))
    skill(talk.person.project, "see", front)
    talk.say("One.")
    talk.down(talk.home)
    goes_down(talk.vendors[talk.other], 1)
    events = talk.say("Two.")

    assert end(events) == ("done", "Thanks.")
    assert results(talk.person) == ["It is so."]
    assert of_child(talk) == [talk.home] * 2
    assert talk.models() == [talk.home, talk.other, talk.other]
    assert notices(events)[1].startswith(f"sub-agent see: {talk.other} failed: 529")
    assert notices(events)[1].endswith(f"back to {talk.home}")


@pytest.mark.refusals(reason="both vendors are down")
def test_where_both_fail_a_sub_agent_says_so_to_its_caller(begin: Begin) -> None:
    talk = begin("responses", "anthropic", mind=Brain([[call("see", "alpha")], "Oh."], LOOKS))
    skill(talk.person.project, "see", FRESH)
    goes_down(talk.vendors[talk.home], 3)
    talk.down(talk.other)
    assert end(talk.say("Look.")) == ("done", "Oh.")

    (told,) = results(talk.person)
    assert re.fullmatch(rf"the sub-agent of see failed: {talk.home} failed: 529: .*; {talk.other} failed too: .*", told)


@pytest.mark.refusals(reason="the first vendor is down")
@pytest.mark.parametrize("back", [False, True], ids=["in the same run", "in another"])
def test_a_sub_agent_that_was_cut_off_goes_on_with_its_stand_in(back: bool, begin: Begin) -> None:
    asks = {"alpha": [[tool("glob", pattern="*")], [tool("ask_user", question="Which?")], "It is so."]}
    talk = begin("anthropic", "responses", mind=Brain([[call("see", "alpha")], "Thanks."], asks))
    person = talk.person
    skill(person.project, "see", FRESH)
    goes_down(talk.vendors[talk.home], 3)
    cut(person, 1, model=talk.home)
    assert of_child(talk) == [talk.other] * 2

    go_on(person, back=back)

    assert results(person) == ["It is so."]
    assert of_child(talk) == [talk.other] * 3
    assert talk.models() == [talk.home] * 2
    assert [record.data["model"] for record in person.records("subagent")] == [talk.other] * 2
    one, *_, last = talk.vendors[talk.other].requests
    assert last.extends(one)
    assert last.read == last.perfect_read > 0, last.explain
