"""The one serializer, and the digests of its bytes.

Invariant: equal values give equal bytes, in every process and version: keys sorted, no spaces, UTF-8, no NaN. Every
byte that is sent to a vendor or hashed was made here.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

Json = Any
"""A JSON value as `json.loads` gives it."""


def encode(value: Json) -> bytes:
    """Canonical bytes of a JSON value.

    Raises:
        ValueError: not JSON (NaN, infinity, a key that is no string).
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def decode(raw: bytes | str) -> Json:
    """Strict JSON: refuses NaN, infinity and trailing data.

    Raises:
        ValueError: not JSON.
    """
    return json.loads(raw, parse_constant=_no_constant)


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def clean(text: str) -> str:
    """The same text without lone surrogates, which no UTF-8 can carry: each becomes U+FFFD, a pair its character."""
    if not _has_surrogate(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _has_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def clean_json(value: Json) -> Json:
    """`clean` applied to every string, keys too, of a JSON value."""
    match value:
        case str():
            return clean(value)
        case list():
            return [clean_json(item) for item in value]
        case dict():
            return {clean(key): clean_json(item) for key, item in value.items()}
        case _:
            return value


def digest(raw: bytes) -> str:
    """SHA-256 in hex: the name of a blob, the identity of a file's content."""
    return hashlib.sha256(raw).hexdigest()


def chain(previous: str, fragment: bytes) -> str:
    """The digest of a prefix that ends with this block: SHA-256 over the digest before it and the block's own bytes.

    Chained so that a request with n blocks costs one hash for each *new* block, never n.
    """
    state = hashlib.sha256(previous.encode("ascii"))
    state.update(b"\x00")
    state.update(fragment)
    return state.hexdigest()
