"""The bytes of an entry: canonical JSON, with a digest over all of it.

Invariant: what `opened` gives is what was sealed, whole, in this form; and it is JSON that a journal can carry.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.caches.store import Damaged
from harness.conversation.canonical import Json, decode, digest, encode


def sealed(form: int, content: Mapping[str, Json]) -> bytes:
    """The file of an entry. form: of its content, one more with each change."""
    whole = {**content, "format": form}
    return encode({**whole, "sum": digest(encode(whole))})


def opened(form: int, raw: bytes) -> dict[str, Json]:
    """The content of a file.

    Raises:
        Damaged: it is no entry, or not the one that was written.
    """
    try:
        found = decode(raw)
        known, said = found.get("format") == form, found.pop("sum", None)
        whole = known and said == digest(encode(found))
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise Damaged(f"{type(error).__name__}: {str(error)[:80]}") from error
    if not known:
        raise Damaged("it is of no form that this version knows")
    if not whole:
        raise Damaged("its content is not what its digest says")
    del found["format"]
    return dict(found)
