"""Each field of each kind of record is proved, or it is named here: a new one that nobody proves is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import pytest

from harness.providers.catalog import Catalog
from tests.replay import eventful, troubled
from tests.replay.fields import Session, another, found_together, gone, unfound

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
    "the limit of an output that was not cut, and where whole ones are": ("tool_done.limit", "tool_done.full"),
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

KINDS = {"failed", "fallback", "fallback_over", "forked", "intent", "restored", "snapshot", "title", "unsent"}
"""Records that may be left out: the program was killed before it wrote them, or nothing is made of them."""


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


UNPROVED = set(chain.from_iterable(NOT_PROVED.values()))
OPTIONAL = set(chain.from_iterable(SAME_WITHOUT.values()))


def test_another_value_of_every_other_field_is_found(sessions: list[Session]) -> None:
    assert unfound(sessions, another, UNPROVED) == set()


def test_every_other_field_that_is_gone_is_found(sessions: list[Session]) -> None:
    there = unfound(sessions, gone, UNPROVED | OPTIONAL)

    # what holds nothing but those is one of those
    assert {name for name in there if not any(one.startswith(f"{name}.") for one in UNPROVED)} == set()


def test_what_is_named_here_decides_nothing(sessions: list[Session]) -> None:
    names = {one.name for session in sessions for one in session.fields()}

    assert names >= UNPROVED | OPTIONAL
    for session in sessions:
        assert not found_together(session, UNPROVED)


def test_a_record_of_every_other_kind_that_is_gone_is_found(sessions: list[Session]) -> None:
    kept: set[str] = set()
    for kind in {record.kind for session in sessions for record in session.records}:
        # the first of each session: much rests on it
        first = [next((at for at, one in enumerate(s.records) if one.kind == kind), None) for s in sessions]
        there = [(session, at) for session, at in zip(sessions, first, strict=True) if at is not None]
        if not any(s.finds((at, replace(s.records[at], kind="nothing"))) for s, at in there):
            kept.add(kind)

    assert kept == KINDS
