"""Each field and each record, in its place, is proved, or it is named here: a new one that nobody proves is found."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from harness.providers.catalog import Catalog
from tests.replay import eventful, interrupted, troubled
from tests.replay.fields import Session, another, found_together, gone, situations, unfound
from tests.replay.places import in_the_others_place, twice, unfound_places, without

NOT_PROVED = {
    "in words, why something failed, ended or was wanted": (
        "failed.error",
        "fallback.reason",
        "fallback_over.why",
        "retry.error",
        "subagent.end",
    ),
    "which model stands in for another, until when": ("fallback.model", "fallback.to", "fallback.until"),
    "names": ("born.skill", "forked.child", "response.request_id", "title.title"),
    "times": ("response.seconds", "retry.wait"),
    "where it was begun, by what": ("session.cwd", "session.format", "session.root", "session.version"),
    "of rules, what nothing was told of since": ("kept.context.rules.*",),
    "that words were said while a turn ran": ("message.steering",),
    "where the whole of a tool's own cut output is": ("tool_done.full",),
    "what tools noted": (
        "tool_done.facts",
        "tool_done.facts.seen.*",
        "tool_done.facts.todo",
        "tool_done.facts.todo.*.status",
        "tool_done.facts.todo.*.text",
    ),
    "what the program's own caches did": (
        "response.cached.at",
        "response.cached.key",
        "response.cached.scope",
        *(f"response.uncached.{name}" for name in ("cause", "key", "scope", "unkept")),
        *(f"tool_done.facts.cache.{name}" for name in ("cause", "how", "key", "problem", "scope", "shown", "tool")),
    ),
    "saved files": (
        *(f"snapshot.{name}" for name in ("left_out", "tree", "turn", "when")),
        *(f"restored.{name}" for name in ("after", "before", "by", "changed", "kind", "turns", "turns.*")),
        *(f"restoring.{name}" for name in ("before", "by", "kind", "turns", "turns.*")),
    ),
    "of a model, what decides nothing in these sessions": (
        *(f"model.long.{name}" for name in ("input", "output", "read", "writes.*.*")),
        *("model.long_above", "model.lookback"),
        *(f"model.profile.{name}" for name in ("affinity", "caching", "changes", "images", "like", "markers")),
        *("model.profile.usage_written", "model.profile.user_after_tools"),
    ),
}
"""The fields of which another value is found nowhere."""

SAME_WITHOUT = {
    "what none is the same as": (
        *("kept.context.own", "message.context.own", "model.rules.strips_thinking", "session.effort"),
        *("retry.usage.uncached", "retry.usage.written_1h", "subagent.delegated", "subagent.served"),
        *("subagent.usage.uncached", "subagent.usage.written_1h", "epoch.model"),
    ),
    "what the session block was made of: without, it is proved by its digest": ("prefix.layers", "refrozen.layers"),
}
"""Fields that may be left out."""

GONE = {
    "a kill came before it was written": ("failed", "intent", "retry", "unsent"),
    "a sub-agent with a conversation of its own is a session as others": ("born",),
    "of a model that is not asked": ("wire_prefix",),
    "nothing is made of it": ("fallback", "fallback_over", "forked", "restored", "restoring", "snapshot", "title"),
}
"""Records that may be left out, here or there; and the last ones of a journal."""

TWICE: dict[str, tuple[str, ...]] = {
    "nothing is made of it": ("fallback", "fallback_over", "forked", "restored", "restoring", "snapshot", "title"),
}
"""Records of which there may be two."""

EITHER_WAY = {
    "calls of one answer, which run beside each other": (
        *("intent intent", "intent subagent", "intent tool_done", "subagent tool_done", "tool_done tool_done"),
        # or while a sub-agent is forked
        *("epoch intent", "epoch subagent", "epoch tool_done"),
    ),
    "what is told of a model and its messages before it is asked": (
        *("model rendering", "model wire_prefix", "rendering rendering", "rendering setting", "rendering wire_prefix"),
        *("epoch wire_prefix", "born wire_prefix"),
    ),
    "something of which nothing is made": (
        *("failed fallback", "restored restored", "forked snapshot", "restored snapshot"),
        *("restored restoring", "restoring snapshot"),
        *(f"snapshot {kind}" for kind in ("epoch", "intent", "message", "setting", "subagent", "tool_done")),
    ),
}
"""Neighbours that may change places, here or there."""


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Session]]:
    """Recorded ones, the short ones first."""
    catalog = Catalog.load()
    with (
        eventful.recorded(tmp_path_factory.mktemp("eventful")) as (one, _),
        troubled.recorded(tmp_path_factory.mktemp("troubled")) as other,
    ):
        agents = sorted(chain.from_iterable((folder / "agents").iterdir() for folder in (one, other)))
        found = [Session(folder, catalog) for folder in (*agents, other, one)]
        yield sorted(found, key=lambda session: len(session.records))


@pytest.fixture(scope="module")
def odd_calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One with ids that are taken or empty, answers that the output limit cut, calls that a kill cut."""
    with interrupted.recorded(tmp_path_factory.mktemp("interrupted")) as folder:
        yield Session(folder, Catalog.load())


def named(table: dict[str, tuple[str, ...]]) -> set[str]:
    """What of a table is not found, the names of pairs in order."""
    return {" ".join(sorted(name.split())) for name in chain.from_iterable(table.values())}


UNPROVED, OPTIONAL = named(NOT_PROVED), named(SAME_WITHOUT)


def test_another_value_of_every_other_field_is_found(sessions: list[Session]) -> None:
    assert unfound(sessions, another, UNPROVED) == set()


def test_every_other_field_that_is_gone_is_found(sessions: list[Session]) -> None:
    there = unfound(sessions, gone, UNPROVED | OPTIONAL)

    # what holds nothing but those is one of those
    assert {name for name in there if not any(one.startswith(f"{name}.") for one in UNPROVED)} == set()


NOTHING_TO_SAY: dict[str, tuple[str, ...]] = {
    "of an output that was not cut, how much longer it might have been": ("tool_done.limit",),
    "none, which is said as well by nothing": ("message.context.rules",),
    "files that were seen": ("tool_done.facts.seen",),
}
"""Fields that decide something elsewhere, and nothing where a call was not what it seemed."""


def test_where_a_call_is_not_what_it_seems_every_field_is_found(odd_calls: Session) -> None:
    session = odd_calls
    kinds = ("message", "unsent", "intent", "tool_done")
    known = UNPROVED | named(NOTHING_TO_SAY)
    places = [one for one in situations(session) if one.name.partition(".")[0] in kinds and one.name not in known]

    left = [
        (one, change.__name__)
        for one in places
        for change in (another, gone)
        if not (change is another and one.holds) and not (change is gone and one.name in OPTIONAL)
        if not session.finds((one.record, session.changed(session.records[one.record], one.path, change)))
    ]

    stops = {one.data["stop"] for one in session.records if one.kind == "response"}
    assert stops >= {"max_tokens", "pause_turn", "end_turn", "tool_use"}
    assert len(places) > 60
    assert left == []


def test_what_is_named_here_decides_nothing(sessions: list[Session]) -> None:
    names = {one.name for session in sessions for one in session.fields()}

    assert names >= UNPROVED | OPTIONAL
    for session in sessions:
        assert not found_together(session, UNPROVED)


def test_where_a_call_is_not_what_it_seems_every_place_is_proved(odd_calls: Session) -> None:
    assert unfound_places([odd_calls], without) <= named(GONE)
    assert unfound_places([odd_calls], twice) <= named(TWICE)
    assert unfound_places([odd_calls], in_the_others_place) <= named(EITHER_WAY)


def test_a_record_that_is_gone_is_found(sessions: list[Session]) -> None:
    assert unfound_places(sessions, without) == named(GONE)


def test_a_record_that_is_there_twice_is_found(sessions: list[Session]) -> None:
    assert unfound_places(sessions, twice) == named(TWICE)


def test_records_that_changed_places_are_found(sessions: list[Session]) -> None:
    # in which order the calls of one answer came to their ends is not the same in each recording
    assert unfound_places(sessions, in_the_others_place) <= named(EITHER_WAY)
