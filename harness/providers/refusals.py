"""What a vendor's no means: a status with its body, or an error that comes after a 200, as one of our errors.

Invariant: pure; knows no SDK and no wire. What waiting or sending again may cure is `Temporary`, and nothing else is.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from harness import errors
from harness.conversation.canonical import clean

_TOO_LONG = re.compile(
    r"prompt is too long|exceed context limit"  # Anthropic, the latter where max_tokens does not fit either
    r"|context window|maximum context length"  # OpenAI and most others
    r"|longer than the model's context length"  # SGLang, Together
    r"|exceeds the available context size"  # llama.cpp
    r"|greater than the context length"  # LM Studio
    r"|exceeded (max )?context length"  # Ollama
    r"|input token count .*exceeds the maximum"  # Gemini
    r"|maximum prompt length is \d"  # xAI
    r"|reduce the length of the messages"  # Groq
    r"|exceeded model token limit"  # Moonshot
    r"|prompt exceeds max length"  # GLM
    r"|range of input length should be",  # Qwen
    re.IGNORECASE,
)
"""How servers word it, as their users quote them; the wire has a code for it, which few send."""

_OVERFLOW = frozenset({"context_length_exceeded", "model_context_window_exceeded", "request_too_large"})
_RATE = frozenset({"rate_limit_error", "rate_limit_exceeded", "429", "resource_exhausted"})
_QUOTA = frozenset({"insufficient_quota", "billing_error", "402"})
_SPENT = re.compile(r"credit balance is too low", re.IGNORECASE)
"""Of Anthropic, with status 400 and the type of a wrong request, as its users quote it."""
_AUTH = frozenset({"authentication_error", "invalid_api_key", "401"})
_FORBIDDEN = frozenset({"permission_error", "403"})
_BUSY = frozenset(
    {"overloaded_error", "overloaded", "server_is_overloaded", "server_error", "api_error", "timeout_error"}
)
_BUSY_STATUS = frozenset({"500", "502", "503", "504", "529"})
# openai 3.54.0, ResponseError.code: of the prompt, and so the same however often it is sent
_OF_THE_PROMPT = re.compile(
    r"invalid_\w+|\w+_policy(_violation)?|\w*image\w*|data_residency_mismatch|400|not_found_error|404"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status that is an error, as every wire has it. code: the vendor's own word. is_api: its body is an API error's.

    key, url: the variables that hold the key and the base URL.
    """

    status: int
    said: str
    code: str
    is_api: bool
    host: str
    request_id: str | None
    headers: Mapping[str, str]
    key: str
    url: str


def refusal(refused: Refusal, now: float) -> errors.ProviderError:
    """A status as one of our errors, where vendors mean the same by it. `now`: for a `retry-after` that is a date."""
    status, said = refused.status, refused.said.rstrip(".")
    about: dict[str, Any] = {
        "status": status,
        "request_id": refused.request_id,
        "retry_after": retry_after(refused.headers, now),
    }
    if not refused.is_api and status < 500 and status not in (408, 409, 429):
        return errors.NotAnApi(
            f"{refused.host} answered {status} with a page, not with an API error; check {refused.url}", **about
        )
    match status:
        case 400 if _SPENT.search(said):
            return errors.QuotaExhausted(f"400: billing: {said}", **about)
        case 401:
            return errors.AuthFailed(f"401: the API key was not accepted; check {refused.key} ({said})", **about)
        case 402:
            return errors.QuotaExhausted(f"402: billing: {said}; check your plan and credits", **about)
        case 403:
            return errors.Forbidden(f"403: this key may not do that: {said}; check its workspace and models", **about)
        case 404:
            return errors.UnknownModel(
                f"404: {said}; choose another with --model or /model (see `harness models`), or check {refused.url}",
                **about,
            )
        case 413:
            return errors.ContextOverflow(
                f"413: the request is larger than the vendor takes ({said or '32 MB'})", **about
            )
        case 429 if "spend_limit" in refused.code or refused.code == "insufficient_quota":
            return errors.QuotaExhausted(f"429: the spend limit is reached: {said}; raise it or wait", **about)
        case 429:
            more = _used_up(refused.headers, now) + _wait(about["retry_after"])
            return errors.RateLimited(f"429: rate limited: {said}{more}", **about)
        case 408 | 409:
            return errors.Overloaded(f"{status}: {said or 'the vendor asks to send it again'}", **about)
        case _ if refused.code in _OVERFLOW or _TOO_LONG.search(said):
            # some servers answer 500 with it
            return errors.ContextOverflow(f"the conversation no longer fits the model's window: {said}", **about)
        case _ if status >= 500:
            return errors.Overloaded(f"{status}: {said or 'the vendor has a problem'}; try again later", **about)
        case _:
            return errors.BadRequest(f"{status}: the vendor refused the request: {said}", **about)


def ended(error: object) -> errors.ProviderError:
    """The error that ends an answer after its 200, be it an event, a chunk or a body."""
    about = error_of(error)
    code = str(about.get("code") or about.get("status") or about.get("type") or "error")
    said = f"the vendor ended the answer: {code}: {said_of(about)}"
    match code.lower():
        case word if word in _OVERFLOW or _TOO_LONG.search(said):
            return errors.ContextOverflow(said)
        case word if word in _RATE:
            return errors.RateLimited(said)
        case word if word in _QUOTA:
            return errors.QuotaExhausted(said)
        case word if word in _AUTH:
            return errors.AuthFailed(said)
        case word if word in _FORBIDDEN:
            return errors.Forbidden(said)
        case word if word in _BUSY or word in _BUSY_STATUS:
            return errors.Overloaded(said)
        case word if _OF_THE_PROMPT.fullmatch(word):
            return errors.BadRequest(said)
        case _:
            return errors.StreamBroken(said)


def error_of(body: object) -> Mapping[str, Any]:
    """The error object of a body, however a compatible server wraps it; empty where there is none."""
    if isinstance(body, list):  # Gemini
        body = body[0] if body else None
    value = (body.get("error") or body) if isinstance(body, dict) else body
    if isinstance(value, str) and value.strip():
        return {"message": value}
    return value if isinstance(value, dict) else {}


def said_of(body: object) -> str:
    """The text of an error's body, however a compatible server words it; "" where there is none."""
    about = error_of(body)
    return clean(" ".join(str(about.get("message") or about.get("detail") or "").split())[:500])


# ----------------------------------------------------------------------------------------------- how long to wait


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the vendor asks to wait; None where it does not say, infinite where it asks not to be asked again.

    It is told in milliseconds, in seconds, as a date, or by when a used up limit is whole again: nobody asks for that
    wait, and one of more than `_RESET` is not made.
    """
    if headers.get("x-should-retry", "").lower() == "false":
        return math.inf
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with contextlib.suppress(ValueError):
            if (seconds := float(headers.get(name, "")) * unit) >= 0:
                return seconds
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    whole = _whole_again(headers, now)
    return whole if whole is not None and whole <= _RESET else None


def _whole_again(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until every limit that is used up is whole again; None where none says so."""
    resets = [_until(headers.get(reset, ""), now) for _, reset in _limits(headers)]
    return max((seconds for seconds in resets if seconds is not None), default=None)


def _wait(seconds: float | None) -> str:
    """A wait of which a person wants to know: from a minute on."""
    return f"; it asks to wait {_long(seconds)}" if seconds is not None and 60 <= seconds < math.inf else ""


def _long(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in ((86_400, "d"), (3_600, "h")) if seconds > 2 * size), (60, "min"))
    return f"{math.ceil(seconds / size):,} {unit}"


def _limits(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(what is limited, the header with its reset) of each limit that is used up.

    Anthropic: `anthropic-ratelimit-input-tokens-remaining`; OpenAI and most others: `x-ratelimit-remaining-tokens`.
    """
    for name, value in headers.items():
        lower = name.lower()
        if "ratelimit-" not in lower or "remaining" not in lower or value.strip() not in ("0", "0.0"):
            continue
        words = [word for word in lower.partition("ratelimit-")[2].split("-") if word != "remaining"]
        yield " ".join(words) or "requests", lower.replace("remaining", "reset")


def _used_up(headers: Mapping[str, str], now: float) -> str:
    names = sorted({what for what, _ in _limits(headers)})
    whole = _whole_again(headers, now)
    again = f", whole again in {_long(whole)}" if whole is not None and _RESET < whole < math.inf else ""
    return f" (used up: {', '.join(names)}{again})" if names else ""


_RESET = 300.0
"""Seconds. A limit that takes longer to be whole again is a day's, of which some is there again long before."""

_PIECE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _until(text: str, now: float) -> float | None:
    """Seconds until a reset: "6m0s", "59ms", a date, or seconds; None where it is none of them."""
    text = text.strip()
    if text and not _PIECE.sub("", text):
        return sum(float(number) * _UNIT[unit] for number, unit in _PIECE.findall(text))
    with contextlib.suppress(ValueError):
        # seconds to go, or an epoch in seconds or milliseconds
        value = float(text)
        value = value / 1000 if value > 1e11 else value
        return max(0.0, value - now if value > 1e9 else value) if math.isfinite(value) else None
    with contextlib.suppress(ValueError, OverflowError):
        date = datetime.fromisoformat(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    return None
