"""Waiting: never shorter than asked, jitter only added, and not for ever."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from harness.errors import AuthFailed, BadRequest, Overloaded, ProviderError, RateLimited, StreamBroken, Unreachable
from harness.providers.retry import RetryPolicy

POLICY = RetryPolicy()


@given(asked=st.floats(0, POLICY.patience), attempt=st.integers(1, 5), random=st.floats(0, 1, exclude_max=True))
def test_never_shorter_than_the_vendor_asks(asked: float, attempt: int, random: float) -> None:
    wait = POLICY.wait(attempt, RateLimited("slow down", retry_after=asked), random)

    assert wait is not None
    assert wait >= asked


@given(attempt=st.integers(1, 5), random=st.floats(0.001, 0.999))
def test_jitter_is_only_ever_added(attempt: int, random: float) -> None:
    plain, jittered = (POLICY.wait(attempt, Overloaded("busy"), number) for number in (0.0, random))

    assert plain is not None
    assert jittered is not None
    assert plain < jittered <= plain + max(0.1, 0.25 * plain)


def test_waits_grow_to_a_ceiling() -> None:
    waits = [RetryPolicy(retries=9).wait(attempt, Overloaded("busy"), 0.0) for attempt in range(1, 10)]

    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_it_ends() -> None:
    assert POLICY.wait(POLICY.retries + 1, Overloaded("busy"), 0.0) is None
    assert POLICY.wait(1, RateLimited("come back tomorrow", retry_after=86_400), 0.0) is None


@pytest.mark.parametrize("error", [BadRequest("no"), AuthFailed("no"), ProviderError("no")])
def test_what_waiting_does_not_cure_is_not_sent_again(error: ProviderError) -> None:
    assert POLICY.wait(1, error, 0.0) is None


@pytest.mark.parametrize("error", [RateLimited("x"), Overloaded("x"), Unreachable("x"), StreamBroken("x")])
def test_what_may_pass_is_sent_again(error: ProviderError) -> None:
    assert POLICY.wait(1, error, 0.0) is not None
