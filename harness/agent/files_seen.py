"""What the model has seen of each file, as the journal tells it: the base on which an edit is allowed.

Invariant: a pure fold over the facts of finished tool calls, so a resumed session refuses the same edits. What was seen
in a turn that was undone is not seen any more, until that is redone.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from harness.conversation.blobs import Blobs
from harness.conversation.canonical import Json
from harness.errors import JournalError


class SeenFiles:
    """Identity of each file by absolute path, and its content where that was kept."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._identities: dict[str, str] = {}
        self._by_answer: list[tuple[int, Mapping[str, str]]] = []

    def apply(self, answer: int, facts: Mapping[str, Json]) -> None:
        """Take in the facts of one finished call. answer: the record of the answer that made it."""
        if seen := facts.get("seen"):
            self._by_answer.append((answer, seen))
            self._identities.update(seen)

    def only(self, answers: Container[int]) -> None:
        """Know what the calls of these answers saw, and nothing else."""
        self._identities.clear()
        for answer, seen in self._by_answer:
            if answer in answers:
                self._identities.update(seen)

    def move(self, root: str, to: str) -> None:
        """The workspace was copied: what was seen below `root` is what stands below `to`."""
        self._by_answer = [(answer, _moved(seen, root, to)) for answer, seen in self._by_answer]
        self._identities = dict(_moved(self._identities, root, to))

    def identity(self, path: str) -> str | None:
        """What identified the file's content when it was last read or written here; None where it never was."""
        return self._identities.get(path)

    def content(self, identity: str) -> bytes | None:
        """The content of that identity, where it was kept."""
        try:
            return self._blobs.get(identity)
        except JournalError:
            return None


def _moved(seen: Mapping[str, str], root: str, to: str) -> Mapping[str, str]:
    below = root.rstrip("/") + "/"
    return {to + "/" + path.removeprefix(below) if path.startswith(below) else path: one for path, one in seen.items()}
