"""The ledger as one request looks into it, and what it found there that its own session's bills do not tell.

Invariant: what is journaled of it (`foreign`, `left_behind`) and the session's own bills answer every look of that
request again, so that a replay needs no other journal to know what it should have read.
"""

from __future__ import annotations

from dataclasses import asdict

from harness.audit.ledger import Ledger
from harness.conversation.canonical import Json
from harness.conversation.request import LedgerEntry


class Lookups:
    """The looks of one attempt.

    Args:
        shared: the ledger of the session and its relatives. own: what the session's own bills tell.
        now: start of the attempt, seconds since the epoch.
    """

    def __init__(self, shared: Ledger, own: Ledger, line: str, now: float) -> None:
        self._shared = shared
        self._own = own
        self._line = line
        self._now = now
        self._alive = shared.alive(line, now)
        self._others = shared.alive_elsewhere(line, now)
        self._asked: dict[str, bool] = {}
        self._left: LedgerEntry | None = None

    def alive(self, digest: str) -> LedgerEntry | None:
        """The entry of the line, if it can be read now."""
        self._asked.setdefault(digest, False)
        return self._alive(digest)

    def known(self, digest: str) -> LedgerEntry | None:
        """The entry of the line, alive or expired."""
        self._asked[digest] = True
        return self._shared.known(self._line, digest)

    def elsewhere(self, digest: str) -> LedgerEntry | None:
        """The same blocks on another line, if they can be read now."""
        found = self._others(digest)
        self._left = self._left or found
        return found

    @property
    def left_behind(self) -> Json:
        """The journal form of the first entry that was found on another line; None where none was."""
        return asdict(self._left) if self._left else None

    def foreign(self) -> list[Json]:
        """The journal form of the entries of the line that the answers rest on and that are not the session's own."""
        return [asdict(entry) for digest, whole in self._asked.items() if (entry := self._foreign(digest, whole=whole))]

    def _foreign(self, digest: str, *, whole: bool) -> LedgerEntry | None:
        shared, own = self._shared.known(self._line, digest), self._own.known(self._line, digest)
        if shared is None or shared == own:
            return None
        told = whole or shared.alive(self._now) or (own is not None and own.alive(self._now))
        return shared if told else None
