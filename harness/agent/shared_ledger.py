"""The ledger of a session that has forks or sub-agents: what any of them read or wrote is there for all of them.

Invariant: a pure fold over the journals of the family, in the order in which the requests started; looking at a
relative never owns, locks or changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path

from harness.audit.ledger import Ledger, apply_bill, is_bill
from harness.conversation.canonical import Json, digest, encode
from harness.conversation.journal import Record, read_records
from harness.conversation.request import TTL_SECONDS

Bill = tuple[float, Mapping[str, Json], Mapping[str, Json]]
"""Start of a request in seconds since the epoch, its record, and the record of what it was billed."""

_LONGEST = max(seconds for seconds in TTL_SECONDS.values() if isfinite(seconds))
"""Seconds for which a vendor keeps an entry that nobody reads, at most; a server of one's own may keep it longer."""
_FORKS = "forks"
"""In a session's folder: an empty file for each fork, for those that another process than its owner made."""


def tell_parent(parent: Path, child: str) -> None:
    """Leave word of a fork: the parent's journal is its owner's to write."""
    (parent / _FORKS).mkdir(mode=0o700, exist_ok=True)
    (parent / _FORKS / child).touch(mode=0o600)


def children(folder: Path) -> set[str]:
    """The ids of the forks that left word in a session's folder."""
    return {path.name for path in (folder / _FORKS).glob("*")}


def sub_agents(folder: Path) -> list[Path]:
    """The folders of the sub-agents of a session, in its own, oldest first."""
    return sorted((folder / "agents").glob("*"))


def family_ledger(folder: Path, records: Iterable[Record], now: float) -> Ledger:
    """The ledger of a session and all its relatives, near and far, whose journals still exist.

    Args:
        folder: of the session; forks and what it is a fork of are beside it, its sub-agents in it.
        records: of the session itself.
        now: sub-agents that ended so long before it that nothing of theirs can be read are left out.
    """
    bills: dict[str, Bill] = {}
    met, waiting = {folder}, _relatives(folder, records, bills, now)
    while waiting:
        relative = waiting.pop()
        path = relative / "journal.jsonl"
        if relative not in met and path.is_file():
            waiting |= _relatives(relative, read_records(path), bills, now)
        met.add(relative)
        waiting -= met
    ledger = Ledger()
    for _, request, bill in sorted(bills.values(), key=lambda found: found[0]):
        apply_bill(ledger, request, bill)
    return ledger


def _relatives(folder: Path, records: Iterable[Record], bills: dict[str, Bill], now: float) -> set[Path]:
    """Adds the bills of a session; gives the folders of its relatives, near ones only."""
    kin, ended = _bills_and_kin(records, bills)
    gone = {name for name, at in ended.items() if at + _LONGEST < now}
    here = {path for path in sub_agents(folder) if path.name not in gone}
    return {folder.parent / name for name in kin | children(folder)} | here


def _bills_and_kin(records: Iterable[Record], bills: dict[str, Bill]) -> tuple[set[str], dict[str, float]]:
    """Adds the bills of one journal, those a fork copied only once.

    Gives the ids of the session's relatives, and when each of its sub-agents ended.
    """
    requests: dict[int, Mapping[str, Json]] = {}
    kin: set[str] = set()
    ended: dict[str, float] = {}
    for record in records:
        match record.kind:
            case "request":
                requests[record.seq] = record.data
            case "response" | "retry" | "failed" if is_bill(record.data) and record.data["request"] in requests:
                request = requests[record.data["request"]]
                name = digest(encode([dict(request), dict(record.data)]))
                bills[name] = (record.data.get("started", request["started"]), request, record.data)
            case "epoch" if "parent" in record.data:
                kin.add(record.data["parent"])
            case "forked":
                kin.add(record.data["child"])
            case "subagent":
                ended[record.data["child"]] = record.at
            case _:
                pass
    return kin, ended
