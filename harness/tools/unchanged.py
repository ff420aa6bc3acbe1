"""What a file tool found, served again while the files that it looked at are unchanged.

Invariant: a served result leaves the same facts as one that was looked up, so that a later edit knows what was seen.
One that carries a file's raw content, or an image, is never cached: those bytes would have to be read again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from harness.caches.file_state import FileState
from harness.caches.tool_outputs import Loaded, Lookup, ToolOutputs
from harness.conversation.blocks import Text
from harness.conversation.canonical import Json
from harness.tools.base import Outcome

HINT = "unchanged since"

_FORM = {"text": "", "shown": "", "seen": ""}


async def unchanged(
    outputs: ToolOutputs,
    lookup: Lookup,
    state: Callable[[], Awaitable[FileState | None]],
    look: Callable[[], Awaitable[tuple[Outcome, bool]]],
) -> Outcome:
    """The result of a call, cached or looked up.

    Args:
        lookup: with the path it `covers`; what is known of its state is added.
        state: of all that is looked at; None where it cannot be told, so that nothing is cached.
        look: gives the result, and whether it is all that there is to be found.
    """
    before = await state()
    if before is None:
        return (await look())[0]
    found: Outcome | None = None

    async def load() -> Loaded:
        nonlocal found
        found, whole = await look()
        value = _value(found, lookup.covers) if whole else None
        if value is None:
            return Loaded(None, "it is not a whole result of text alone")
        return Loaded(value, "" if await state() == before else "it changed meanwhile")

    about = {**lookup.identity, "state": before.digest}
    asked = replace(lookup, identity=about, form=_FORM, changed=before.changed, hint=HINT)
    served = await outputs.through(asked, load)
    if found is not None:
        return replace(found, facts={**found.facts, **served.facts})
    return _outcome(served.value, served.note, lookup.covers, served.facts)


def _value(found: Outcome, path: str) -> dict[str, Json] | None:
    """The form that is cached; None of what cannot be."""
    if found.is_error or found.blobs or found.full:
        return None
    texts = [part.text for part in found.content if isinstance(part, Text)]
    seen = found.facts.get("seen", {})
    if len(texts) != len(found.content) or set(seen) - {path}:
        return None
    return {"text": "\n".join(texts), "shown": found.shown, "seen": seen.get(path, "")}


def _outcome(value: Mapping[str, Json], note: str, path: str, facts: Mapping[str, Json]) -> Outcome:
    seen = {"seen": {path: value["seen"]}} if value["seen"] else {}
    shown = f"{value['shown']}, from the cache"
    return Outcome((Text(f"[{note}]\n{value['text']}"),), shown=shown, facts={**seen, **facts})
