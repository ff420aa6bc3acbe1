"""Whether what a record rests on stands before it: the session's beginning, a request, the end of one, an open call.

Nor does it say again what a record before it said. Invariant: pure; only what no kill and no way of going on can leave
otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.audit.ledger import is_bill
from harness.audit.totals import write_totals
from harness.conversation.canonical import Json
from harness.conversation.history import kind_of
from harness.conversation.lines import Record
from harness.replay.divergence import Divergence, value
from harness.replay.recorded import Recorded

_WHY = "the records before it say otherwise"


def in_order(record: Record, recorded: Recorded) -> Iterator[Divergence]:
    """What of a record's place is wrong."""
    data, where = record.data, f"record {record.seq} ({record.kind})"
    began = bool(recorded.about)
    if (record.kind == "session") == began:
        yield Divergence(where, "a session has one beginning, and it comes first", _WHY)
    match record.kind:
        case "prefix" if recorded.prefix is not None:
            yield Divergence(where, "the tools and system blocks of a session are frozen once", _WHY)
        case "epoch" if recorded.prefix is None:
            yield Divergence(where, "the tools and system blocks of a session come before its first epoch", _WHY)
        case "model" | "wire_prefix" | "setting" | "rendering" if recorded.tells(record):
            yield Divergence(where, "what it says is said once, and the journal has it already", _WHY)
        case "message" if data["tag"] == "answer" and not recorded.ended:
            yield Divergence(f"message {len(recorded.history.entries) + 1}", "no call of the model gave it", _WHY)
        case "unsent" if recorded.ended != data["request"]:
            yield Divergence("answer that is not sent back", "no call of the model gave it", _WHY)
        case "intent":
            where = f"intent of {data['call_id']}"
            yield from _of_call(where, data["call_id"], data["tool"], recorded)
            begun = recorded.history.fate(data["call_id"]) == "may have run"
            if begun and data["call_id"] not in recorded.delegated:
                yield Divergence(where, "it began already, and nothing runs twice by itself", _WHY)
        case "tool_done":
            call_id = data["result"]["call_id"]
            yield from _of_call(f"result of {call_id}", call_id, None, recorded)
        case "retry" | "failed" | "response":
            yield from _of_attempt(record.kind, data, recorded)
        case "born":
            yield from _of_birth(data, recorded)
        case _:
            pass


def _of_call(where: str, call_id: str, tool: str | None, recorded: Recorded) -> Iterator[Divergence]:
    """A call that is open, and has no result yet."""
    call = recorded.history.open_call(call_id)
    if call is None or recorded.history.fate(call_id) == "done":
        yield Divergence(where, "no such call is open", _WHY)
    elif tool is not None:
        yield from value(f"{where}: tool", tool, call.name, _WHY)


def _of_attempt(kind: str, data: Mapping[str, Json], recorded: Recorded) -> Iterator[Divergence]:
    """An attempt at a request that has no end yet; all but the first follow one that was sent again."""
    name = f"request record {data['request']}"
    if (request := recorded.requests.get(data["request"])) is None:
        yield Divergence(f"attempt at {name}", "which the journal does not have, or which has its end", _WHY)
        return
    for bill in (data, data.get("cached", {})):
        if not all(isinstance(count, int) for count in bill.get("usage", {}).values()):
            yield Divergence("usage", "a count of tokens is no number", "the record makes no sense")
    before = recorded.attempts.get(data["request"], 0)
    if kind == "retry":
        yield from value(f"attempt at {name}: number", data["attempt"], before + 1, _WHY)
    if kind == "response":
        broken = data["stop"] == "broken"
        yield from value(f"attempt at {name}: has an error", bool(data["error"]), broken, _WHY)
        if recorded.tells_all:
            yield from value(f"attempt at {name}: made again", "again" in data, before > 0, _WHY)
    if recorded.tells_all and is_bill(data) and not before:
        yield from value(f"attempt at {name}: started", data.get("started"), request["started"], _WHY)


def _of_birth(data: Mapping[str, Json], recorded: Recorded) -> Iterator[Divergence]:
    """A sub-agent goes on with its caller's conversation, or has one of its own; and it has not cost anything yet."""
    if recorded.born_in == len(recorded.epochs):
        yield Divergence("birth", "a sub-agent is born once", _WHY)
    forked = kind_of(recorded.epochs[-1]) == "fork"
    yield from value("birth: context", data["context"], "fork" if forked else "fresh", _WHY)
    if forked:
        yield from value("birth: caller", data["caller"], recorded.parent, _WHY)
        yield from _of_call("birth", data["call_id"], None, recorded)
    yield from value("birth: billed before", data["before"], write_totals(recorded.totals), _WHY)
