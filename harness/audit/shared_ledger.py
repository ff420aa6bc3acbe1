"""The ledger of a session that has forks or sub-agents: what any of them read or wrote is there for all of them.

Invariant: a pure fold over the journals of the family, in the order in which the requests started; looking at a
relative never owns, locks or changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path

from harness.audit.ledger import Ledger, apply_bill, is_bill
from harness.conversation.canonical import Json, digest, encode
from harness.conversation.lines import Reader, Record
from harness.conversation.request import TTL_SECONDS


@dataclass(frozen=True, slots=True)
class Bill:
    """What an attempt was billed: the journal's records of the request and of its bill.

    started, at: when the attempt started and when its bill was journaled, seconds since the epoch.
    """

    started: float
    at: float
    request: Mapping[str, Json]
    bill: Mapping[str, Json]


@dataclass(slots=True)
class Family:
    """The bills of a session and its relatives, by the digest of both records, and the names of the relatives.

    here: folders whose journal was read, and whole. named: ids that a journal or a folder names.
    """

    bills: dict[str, Bill] = field(default_factory=dict)
    here: set[Path] = field(default_factory=set)
    named: set[str] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether the journal of every relative that is named is there."""
        return self.named <= {folder.name for folder in self.here}

    def ledger(self) -> Ledger:
        """The ledger of all of them."""
        ledger = Ledger()
        for one in sorted(self.bills.values(), key=lambda found: found.started):
            apply_bill(ledger, one.request, one.bill)
        return ledger


_LONGEST = max(seconds for seconds in TTL_SECONDS.values() if isfinite(seconds))
"""Seconds for which a vendor keeps an entry that nobody reads, at most; a server of one's own may keep it longer."""
AGENTS = "agents"
"""In a session's folder: those of its sub-agents."""
_FORKS = "forks"
"""In a session's folder: an empty file for each fork, for those that another process than its owner made."""


def tell_parent(parent: Path, child: str) -> None:
    """Leave word of a fork: the parent's journal is its owner's to write."""
    (parent / _FORKS).mkdir(mode=0o700, exist_ok=True)
    (parent / _FORKS / child).touch(mode=0o600)


def forget_child(parent: Path, child: str) -> None:
    """Take the word back: there is no such fork after all."""
    (parent / _FORKS / child).unlink(missing_ok=True)


def children(folder: Path) -> set[str]:
    """The ids of the forks that left word in a session's folder."""
    return {path.name for path in (folder / _FORKS).glob("*")}


def sub_agents(folder: Path) -> list[Path]:
    """The folders of the sub-agents of a session, in its own, oldest first."""
    return sorted((folder / AGENTS).glob("*"))


def family(folder: Path, records: Iterable[Record], now: float = -inf) -> Family:
    """A session and all its relatives, near and far, whose journals still exist.

    Args:
        folder: of the session; forks and what it is a fork of are beside it, its sub-agents in it.
        records: of the session itself.
        now: sub-agents that ended so long before it that nothing of theirs can be read are left out.
    """
    found = Family(here={folder})
    met, waiting = {folder}, _relatives(folder, records, found, now)
    while waiting:
        relative = waiting.pop()
        path = relative / "journal.jsonl"
        if relative not in met and path.is_file():
            reader = Reader(path)
            waiting |= _relatives(relative, reader, found, now)
            if not reader.damage:
                found.here.add(relative)
        met.add(relative)
        waiting -= met
    return found


def _relatives(folder: Path, records: Iterable[Record], found: Family, now: float) -> set[Path]:
    """Adds the bills of a session; gives the folders of its relatives, near ones only."""
    kin, ended, callers = _bills_and_kin(records, found.bills)
    # a sub-agent lives in its caller's folder, whatever that is called
    kin = kin | children(folder) if folder.parent.name != AGENTS else kin - callers
    gone = {name for name, at in ended.items() if at + _LONGEST < now}
    begun = (path for path in sub_agents(folder) if (path / "journal.jsonl").is_file())
    here = {path for path in begun if path.name not in gone}
    found.named |= kin | ended.keys() | {path.name for path in here}
    return {folder.parent / name for name in kin} | here


def _bills_and_kin(records: Iterable[Record], bills: dict[str, Bill]) -> tuple[set[str], dict[str, float], set[str]]:
    """Adds the bills of one journal, those a fork copied only once.

    Gives the ids of the session's relatives, when each of its sub-agents ended, and who called it.
    """
    requests: dict[int, Mapping[str, Json]] = {}
    kin: set[str] = set()
    ended: dict[str, float] = {}
    callers: set[str] = set()
    for record in records:
        match record.kind:
            case "request":
                requests[record.seq] = record.data
            case "response" | "retry" | "failed" if is_bill(record.data) and record.data["request"] in requests:
                request = requests[record.data["request"]]
                name = digest(encode([dict(request), dict(record.data)]))
                started = record.data.get("started", request["started"])
                bills[name] = Bill(started, record.at, request, record.data)
            case "epoch" if "parent" in record.data:
                kin |= _name(record.data["parent"])
            case "forked":
                kin |= _name(record.data["child"])
            case "subagent":
                ended[record.data["child"]] = record.at
            case "born":
                callers |= _name(record.data["caller"])
            case _:
                pass
    return kin | callers, ended, callers


def _name(name: Json) -> set[str]:
    """An id that a journal names, if it can be one: a session file is only data, and may name any path."""
    return {name} if isinstance(name, str) and name not in ("", ".", "..") and not {"/", "\0"} & {*name} else set()
