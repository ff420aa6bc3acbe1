"""Whether a sub-agent was born: its own `born` record comes before anything that it does.

Invariant: nothing is locked or changed; a folder counts as that of one that never was only where nothing in it can be
its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.conversation.canonical import Json
from harness.conversation.lines import Reader, Record

BIRTH = "born"


def birth(records: Iterable[Record], above: Sequence[Mapping[str, Json]]) -> Mapping[str, Json] | None:
    """How a sub-agent was born, read no further than that in the records of its journal; None where it was not.

    Args:
        above: the births in its caller's journal, which a fork has before its own.
    """
    births = (record.data for record in records if record.kind == BIRTH)
    return next((data for data in births if data not in above), None)


def unborn(folder: Path, above: Sequence[Mapping[str, Json]]) -> bool:
    """Whether a folder is what a kill leaves of a sub-agent while it is made, so that nothing in it is its own.

    Damage, and what only one at work leaves, speak against it. above: as `birth`.
    """
    path = folder / "journal.jsonl"
    try:
        if not {one.name for one in folder.iterdir()} <= {"lock", "blobs", path.name}:
            return False
        if not path.exists():
            return not (folder / "blobs").exists()
        reader = Reader(path)
        if birth(reader, above) is not None or reader.damage:
            return False
        with path.open("rb") as file:
            file.seek(reader.end)
            return b"\n" not in file.read()  # the line that was being written is all that a kill tears
    except OSError:
        return False
