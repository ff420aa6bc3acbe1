"""What is known of a model when it is asked, as the journal keeps it: what a request is made of besides its words.

Invariant: no address, no key, no header. Written when it is not what the journal says already, so a later version, or a
changed catalog.toml, leaves a record of its own, and a replay never needs today's tables.

    model  {"model": "provider/name", "version": of the program, "rules": {…}, "ttl": …, "cache": bool,
           "price": {…} | None, …}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from harness import __version__
from harness.agent.session import Session
from harness.conversation.canonical import Json, decode, encode
from harness.conversation.request import Ttl
from harness.providers.facts import Model, Price

SECRET = ("base_url", "headers", "key_env", "key_optional")
"""Of a profile: where it is and who may ask it."""


Chosen = tuple[Ttl, bool]
"""TTL of the markers, and whether there are any."""


def note(session: Session, model: Model, chosen: Chosen) -> None:
    """Journal what is known of a model, if the journal does not say so."""
    found = facts(model, chosen)
    if session.models.get(model.id) != found:
        session.record("model", found)


def facts(model: Model, chosen: Chosen) -> Mapping[str, Json]:
    """The journal form."""
    ttl, cache = chosen
    profile = asdict(replace(model.profile, headers={})) if model.profile else None
    found = {
        "model": model.id,
        "provider": model.provider,
        "name": model.name,
        "wire": model.wire,
        "version": __version__,
        "rules": asdict(model.rules),
        "lookback": model.caching.lookback,
        "ttl": ttl,
        "cache": cache,
        "thinking": model.thinking,
        "efforts": model.efforts,
        "images": model.images,
        "price": _price(model.price),
        "long": _price(model.long),
        "long_above": model.long_above,
        "profile": {name: value for name, value in profile.items() if name not in SECRET} if profile else None,
    }
    # as it is read again: tuples are lists
    made: Mapping[str, Json] = decode(encode(found))
    return made


def _price(price: Price | None) -> Json:
    """What a token is billed, USD per million; what a request cost can be reckoned again by it."""
    return asdict(price) if price else None
