"""What the model has seen of each file, as the journal tells it: the base on which an edit is allowed.

Invariant: a pure fold over the facts of finished tool calls, so a resumed session refuses the same edits.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.conversation.canonical import Json
from harness.conversation.journal import Blobs
from harness.errors import JournalError


class SeenFiles:
    """Identity of each file by absolute path, and its content where that was kept."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._identities: dict[str, str] = {}

    def apply(self, facts: Mapping[str, Json]) -> None:
        """Take in the facts of one finished call."""
        self._identities.update(facts.get("seen", {}))

    def identity(self, path: str) -> str | None:
        """What identified the file's content when it was last read or written here; None where it never was."""
        return self._identities.get(path)

    def content(self, identity: str) -> bytes | None:
        """The content of that identity, where it was kept."""
        try:
            return self._blobs.get(identity)
        except JournalError:
            return None
