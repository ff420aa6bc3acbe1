"""What vendors say when they say no: their words for a full window, their limits, the errors behind a 200."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from harness import errors
from harness.providers.refusals import Refusal, ended, refusal, retry_after

NOW = 1_800_000_000.0


def refused(status: int, said: str = "said", code: str = "", **headers: str) -> errors.ProviderError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(Refusal(status, said, code, True, "vendor.invalid", None, named, "KEY", "URL"), NOW)


FULL = [
    "prompt is too long: 213462 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens",
    "This endpoint's maximum context length is 131072 tokens. However, you requested about 150000 tokens",
    "The input (140000 tokens) is longer than the model's context length (131072 tokens).",
    "the request exceeds the available context size, try increasing it",
    "tokens to keep from the initial prompt is greater than the context length",
    "prompt too long; exceeded max context length by 5000 tokens",
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens",
    "Please reduce the length of the messages or completion.",
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
    "invalid params, context window exceeds limit",
    "Prompt contains 140000 tokens and 0 draft tokens, too large for model with 131072 maximum context length",
    "Range of input length should be [1, 129024]",
    "Prompt exceeds max length",
]
"""As public reports quote them."""


@pytest.mark.parametrize("said", FULL)
def test_a_full_window_is_known_by_what_is_said_of_it(said: str) -> None:
    assert type(refused(400, said)) is errors.ContextOverflow
    assert type(ended({"error": {"type": "invalid_request_error", "message": said}})) is errors.ContextOverflow


@pytest.mark.parametrize("said", ["max_tokens: must be at least 1", "image exceeds 5 MB maximum"])
def test_other_refusals_are_not(said: str) -> None:
    assert type(refused(400, said)) is errors.BadRequest


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, errors.Overloaded),
        ({"type": "error", "error": {"type": "api_error", "message": "Internal"}}, errors.Overloaded),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}, errors.RateLimited),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, errors.BadRequest),
        ({"type": "error", "error": {"type": "authentication_error", "message": "no"}}, errors.AuthFailed),
        ({"type": "error", "error": {"type": "permission_error", "message": "no"}}, errors.Forbidden),
        ({"code": "server_error", "message": "m"}, errors.Overloaded),
        ({"code": "rate_limit_exceeded", "message": "m"}, errors.RateLimited),
        ({"code": "invalid_prompt", "message": "m"}, errors.BadRequest),
        ({"code": "bio_policy", "message": "m"}, errors.BadRequest),
        ({"code": "image_parse_error", "message": "m"}, errors.BadRequest),
        ({"code": "vector_store_timeout", "message": "m"}, errors.StreamBroken),
        ({"error": {"code": 502, "message": "Provider disconnected"}}, errors.Overloaded),
        ({"error": {"code": 402, "message": "no credits"}}, errors.QuotaExhausted),
        ([{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}], errors.RateLimited),
        ({"error": "out of memory"}, errors.StreamBroken),
        ({"type": "error", "error": None, "code": "invalid_prompt", "message": "m"}, errors.BadRequest),
        (None, errors.StreamBroken),
    ],
)
def test_what_ends_an_answer_is_tried_again_only_where_that_may_help(error: Any, kind: type[Exception]) -> None:
    assert type(ended(error)) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        # platform.claude.com/docs/en/api/rate-limits: dates
        (
            {
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": datetime.fromtimestamp(NOW + 42, UTC).isoformat(),
                "anthropic-ratelimit-requests-remaining": "17",
                "anthropic-ratelimit-requests-reset": datetime.fromtimestamp(NOW + 900, UTC).isoformat(),
            },
            42.0,
        ),
        # developers.openai.com/api/docs/guides/rate-limits: durations
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "4m0s"}, 240.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "59ms"}, 0.059),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1s"}, None),
        # OpenRouter: milliseconds since the epoch
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int((NOW + 7) * 1000))}, 7.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "nan"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1.2.3s"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "..ms"}, None),
        # all of a day's allowance; some of it is there again long before
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "23h59m51s"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        # what is asked for by name goes first
        ({"retry-after": "3", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 3.0),
        ({"x-should-retry": "false", "retry-after": "3"}, math.inf),
        ({"x-should-retry": "true"}, None),
    ],
)
def test_a_used_up_limit_says_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    found = retry_after(headers, NOW)

    assert found == (seconds if seconds is None else pytest.approx(seconds))


def test_which_limit_is_used_up_is_said() -> None:
    limit = {"anthropic_ratelimit_output_tokens_remaining": "0"}

    assert "(used up: output tokens)" in str(refused(429, **limit))
    assert "used up" not in str(refused(429))


def test_how_long_a_limit_takes_to_be_whole_again_is_said_where_it_is_not_waited_for() -> None:
    found = refused(429, x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="23h59m51s")

    assert found.retry_after is None
    assert "used up: requests, whole again in 24 h" in str(found)
    assert "it asks to wait 6 min" in str(refused(429, retry_after="360"))
