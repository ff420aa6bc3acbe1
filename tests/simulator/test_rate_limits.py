"""Limits in a minute, and the headers that tell of them, as each vendor has them."""

from __future__ import annotations

from typing import Any

HI = [{"role": "user", "content": "hi"}]


def told(headers: dict[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}


def test_without_a_limit_nothing_is_told(start: Any) -> None:
    call = start()

    assert "ratelimit" not in str(call(HI).headers) + str(call.chat(HI).headers)


def test_anthropic_says_when_to_come_back(start: Any) -> None:
    call = start(requests_per_minute=2)
    call(HI)
    call.sim.clock.advance(10)
    found = told(call(HI).headers, "anthropic-ratelimit-requests-")
    assert (found["limit"], found["remaining"]) == ("2", "0")
    assert found["reset"].endswith("Z")

    reply = call(HI)
    assert (reply.status, reply.json["error"]["type"], reply.headers["retry-after"]) == (429, "rate_limit_error", "50")
    call.sim.clock.advance(49)
    assert call(HI).status == 429, "a refusal counts for nothing, and comes not too early"
    call.sim.clock.advance(1)
    assert call(HI).status == 200


def test_what_is_read_from_the_cache_counts_at_openai_only(start: Any) -> None:
    text = {"type": "text", "text": "x" * 8_000, "cache_control": {"type": "ephemeral"}}
    long = [{"role": "user", "content": [text]}]
    call = start(input_tokens_per_minute=3_000)

    assert [call(long).status for _ in range(3)] == [200, 200, 200]
    call = start(input_tokens_per_minute=3_000)
    plain = [{"role": "user", "content": "x" * 8_000}]
    first, second = call.chat(plain, model="gpt-5.4"), call.chat(plain, model="gpt-5.4")
    assert (first.status, second.status) == (200, 429)
    assert 0 < int(first.headers["x-ratelimit-remaining-tokens"]) < 1_100
    found = told(second.headers, "x-ratelimit-")
    assert (found["remaining-tokens"], found["reset-tokens"]) == ("0", "60s")
    assert second.json["error"]["code"] == "rate_limit_exceeded"
    assert "retry-after" not in second.headers


def test_keys_have_limits_of_their_own(start: Any) -> None:
    call = start(requests_per_minute=1)
    call(HI)
    call.key = "another"

    assert call(HI).status == 200
