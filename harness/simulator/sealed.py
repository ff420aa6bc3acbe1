"""The opaque content of reasoning items: who made it, under which id, and which item it belongs to.

Invariant: an altered content opens for nobody; one that opens holds under its own id and on its own model only.
Ids of an answer are functions of the request's bytes, and the id of an item that came directly after a reasoning
item tells which one: the vendor keeps nothing (`store: false`).
Source: section B Stateless; openai 3.54.0, types/responses/response_reasoning_item_param.py.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass

_KEY = b"a pretend vendor of the responses wire"
_HEAD = "gAAAA"
_PAIRED = re.compile(r"^(?:fc|msg)_([0-9a-f]{24})[0-9a-f]{2}([0-9a-f]{2})$")


@dataclass(frozen=True, slots=True)
class Sealed:
    """What an encrypted content says to its maker."""

    model: str
    id: str
    text: str
    follower: str
    """Type of the item produced after it; "" when there was none."""


def seal(sealed: Sealed) -> str:
    """The `encrypted_content` of a reasoning item."""
    payload = json.dumps([sealed.model, sealed.id, sealed.text, sealed.follower]).encode()
    return _HEAD + base64.urlsafe_b64encode(hmac.digest(_KEY, payload, "sha256") + payload).decode()


def unseal(content: str) -> Sealed | None:
    """The content of one that was not altered; None otherwise."""
    try:
        raw = base64.b64decode(content.removeprefix(_HEAD), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, payload = raw[:32], raw[32:]
    if not content.startswith(_HEAD) or not hmac.compare_digest(mac, hmac.digest(_KEY, payload, "sha256")):
        return None
    return Sealed(*json.loads(payload))


def stem_of(body: bytes) -> str:
    """The part that all ids of the answer to this request body share."""
    return hashlib.sha256(body).hexdigest()[:24]


def item_id(prefix: str, stem: str, place: int, after: int | None = None) -> str:
    """Id of the answer's item at `place`; `after`: place of the reasoning item directly before it."""
    return f"{prefix}_{stem}{place & 255:02x}" + ("" if after is None else f"{after & 255:02x}")


def reasoning_before(identity: object) -> str | None:
    """Id of the reasoning item that has to stand directly before the item with this id; None when none has to."""
    found = _PAIRED.match(identity) if isinstance(identity, str) else None
    return None if found is None else f"rs_{found[1]}{found[2]}"
