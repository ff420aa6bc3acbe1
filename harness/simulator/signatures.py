"""Signatures of thinking blocks: which model made a block, and the exact conversation that it belongs to.

Invariant: a signature holds only for the text it was made for, and (on models that bind) only behind the same
tools, system and messages, and the same thinking directly before it, or none: a leading run of thinking may be
removed, a block in the middle may not. cache_control, effort, max_tokens and key order are left out of the digest, so
that those may change (A4 "Permitted").
Source: platform.claude.com/docs/en/build-with-claude/thinking.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Literal

_KEY = b"a pretend vendor"
_MARK = b"sim1"
THINKING_KINDS = frozenset({"thinking", "redacted_thinking"})

_DIGEST = 32
_NO_THINKING = bytes(8)

Verdict = Literal["good", "foreign", "moved", "forged"]


class PrefixDigest:
    """Digest of the conversation so far, and of the last thinking in it. Grows block by block."""

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self._thinking = _NO_THINKING

    def add(self, role: str, block: dict[str, Any]) -> None:
        """Append one block; unset fields do not count. Thinking that is left out of the prompt is not added."""
        if block.get("type") in THINKING_KINDS:
            made = str(block["signature"] if block["type"] == "thinking" else block["data"])
            self._thinking = hashlib.sha256(made.encode("utf-8", "surrogatepass")).digest()[: len(_NO_THINKING)]
            return
        bare = {name: value for name, value in block.items() if value is not None and name != "cache_control"}
        text = json.dumps(bare, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        # A length before each block, so that two blocks never look like one.
        encoded = text.encode("utf-8", "surrogatepass")
        self._state.update(f"{role}:{len(encoded)}:".encode())
        self._state.update(encoded)

    def value(self) -> bytes:
        """Digest of everything added so far but thinking, then that of the last thinking."""
        return self._state.copy().digest() + self._thinking


@dataclass(frozen=True, slots=True)
class Sealed:
    """The parts of a signature that can be read back."""

    model: str
    prefix: bytes


def sign(model: str, text: str, prefix: bytes) -> str:
    """The signature of a thinking block with `text`, made by `model` behind `prefix`."""
    payload = _MARK + prefix + model.encode()
    return base64.b64encode(_mac(payload, text) + payload).decode()


def judge(signature: str, text: str, model: str, prefix: bytes, *, binds: bool) -> Verdict:
    """Whether a replayed block is good, another model's, moved to another prefix, or forged."""
    sealed = _open(signature, text)
    if sealed is None:
        return "forged"
    if sealed.model != model:
        return "foreign"
    return "moved" if binds and not _continues(sealed.prefix, prefix) else "good"


def _continues(made: bytes, now: bytes) -> bool:
    """A4 "Permitted": where no thinking is left before a block, a leading run was removed."""
    return made[:_DIGEST] == now[:_DIGEST] and now[_DIGEST:] in (_NO_THINKING, made[_DIGEST:])


def _open(signature: str, text: str) -> Sealed | None:
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, payload = raw[:32], raw[32:]
    if not payload.startswith(_MARK) or not hmac.compare_digest(mac, _mac(payload, text)):
        return None
    body = payload[len(_MARK) :]
    size = _DIGEST + len(_NO_THINKING)
    return Sealed(body[size:].decode("utf-8", "replace"), body[:size])


def _mac(payload: bytes, text: str) -> bytes:
    return hmac.digest(_KEY, payload + b"\x00" + text.encode("utf-8", "surrogatepass"), "sha256")


def redact(model: str, text: str, prefix: bytes) -> str:
    """The `data` of a redacted_thinking block: its text and signature in one opaque string."""
    return base64.b64encode(json.dumps([text, sign(model, text, prefix)]).encode()).decode()


def judge_redacted(data: str, model: str, prefix: bytes, *, binds: bool) -> Verdict:
    """As `judge`, for the `data` of a redacted_thinking block."""
    try:
        text, signature = json.loads(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return "forged"
    return judge(str(signature), str(text), model, prefix, binds=binds)
