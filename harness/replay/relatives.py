"""What the bills of a session's relatives tell, from their journals, where those are there.

Invariant: looking at a relative never owns, locks or changes it; what a journal that is gone would tell is not known,
and never called false.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from harness.audit.ledger import Ledger, apply_bill
from harness.audit.shared_ledger import AGENTS, Bill, Family, family
from harness.conversation.lines import Reader
from harness.conversation.request import LedgerEntry
from harness.errors import HarnessError
from harness.replay.divergence import SENSELESS

_Entry = tuple[str, int | None, str]
"""Line, tokens and TTL."""


class Relatives:
    """Those of the session in a folder. They are read when something rests on them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def tell(self, entry: LedgerEntry, line: str = "") -> bool | None:
        """Whether their bills, or the session's own, give such an entry; None where a journal that may is not there.

        line: "" for any.
        """
        entries, starts = self._known
        for name, tokens, ttl in entries.get(entry.digest, ()):
            if (tokens, ttl) == (entry.tokens, entry.ttl) and line in ("", name) and (name, entry.used) in starts:
                return True
        return False if self._family is not None and self._family.complete else None

    def sub_agent(self, name: str) -> Path | None:
        """The folder of a sub-agent, of the session or of one that it was forked from; None where it is not there."""
        own = self._folder / AGENTS / name
        # os.path: a name that is too long, or holds a NUL, is no folder and no failure
        if os.path.isdir(own) and own.parent == self._folder / AGENTS:  # noqa: PTH112 - see above
            return own
        here = self._family.here if self._family else ()
        return next((folder for folder in here if folder.name == name and folder.parent.name == AGENTS), None)

    @cached_property
    def _family(self) -> Family | None:
        """None where a journal of it makes no sense."""
        root = self._folder
        while root.parent.name == AGENTS:
            root = root.parent.parent
        try:
            return family(root, Reader(root / "journal.jsonl"))
        except (HarnessError, OSError, *SENSELESS):
            return None

    @cached_property
    def _known(self) -> tuple[Mapping[str, set[_Entry]], set[tuple[str, float]]]:
        """Every entry that a bill gave, whichever of two that ran at once came first; and all starts of attempts."""
        entries: dict[str, set[_Entry]] = {}
        bills = list(self._family.bills.values()) if self._family else []
        orders: list[Callable[[Bill], float]] = [lambda bill: bill.started, lambda bill: bill.at]
        for order in orders:
            ledger = Ledger()
            for bill in sorted(bills, key=order):
                try:
                    apply_bill(ledger, bill.request, bill.bill)
                    for digest, given in _given(ledger, bill):
                        entries.setdefault(digest, set()).add(given)
                except (OSError, *SENSELESS):
                    continue
        return entries, {(bill.request["line"], bill.started) for bill in bills}


def _given(ledger: Ledger, bill: Bill) -> Iterator[tuple[str, _Entry]]:
    line = bill.request["line"]
    for position in (*bill.request["markers"], *bill.request.get("ends", ())):
        if (entry := ledger.known(line, position["digest"])) is not None:
            yield entry.digest, (line, entry.tokens, entry.ttl)
