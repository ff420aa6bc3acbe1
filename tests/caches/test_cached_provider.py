"""A provider with cached responses: which bodies it knows, when many are on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.caches.cached_provider import CachedProvider, ResponseCache
from harness.caches.responses import BOUNDS, Responses
from harness.caches.store import DAY, Store
from harness.conversation.blocks import Message, Text
from harness.providers import connect
from harness.providers.base import FromCache, NotFromCache, Part
from harness.seam import Seam
from harness.simulator import Clock, Rules, Simulator
from tests.caches.test_response_key import CATALOG, MODELS, Made, provider_of


def cached(made: Made, folder: Path) -> CachedProvider:
    provider = provider_of.__wrapped__(made.model, made.base_url, made.key, (), 60.0)
    cache = ResponseCache(Responses(Store(folder, Seam(), BOUNDS), Seam(), DAY), Seam(), "user")
    return CachedProvider(provider, cache, made.model, connect.cache_fields(CATALOG.find(made.model)))


def asks(made: Made, words: str) -> Made:
    return replace(made, messages=(Message("person", (Text(words),)),))


async def answer(provider: CachedProvider, body: bytes) -> list[Part]:
    return [part async for part in provider.stream(body, lambda _: None)]


ODD: dict[str, tuple[Any, str]] = {
    "a call that it did not stop for": (
        {"content": [{"call": "read", "input": {}}], "stop": "end_turn"},
        "with a call",
    ),
    "no call that it stopped for": ({"content": [{"text": "I look."}], "stop": "tool_use"}, "made none"),
    "blanks": ({"content": [{"text": " "}]}, "it is empty"),
}


@pytest.fixture
def vendor() -> Iterator[Simulator]:
    """One that answers questions that have nothing to do with each other."""

    def brain(request: dict[str, Any]) -> Any:
        asked = request["messages"][-1]["content"][-1]["text"]
        return ODD[asked][0] if asked in ODD else "Yes."

    made = Simulator(brain, Rules(), clock=Clock(ticking=False))
    made.start()
    yield made
    made.stop()


def test_a_body_is_known_until_it_is_answered(vendor: Simulator, tmp_path: Path) -> None:
    """As one that waits to be asked again, while sub-agents at once ask and are answered."""
    made = Made(MODELS["anthropic"], base_url=vendor.url)

    async def go() -> list[list[Part]]:
        provider = cached(made, tmp_path)
        try:
            first = asks(made, "first")
            waiting = provider.body(first.request(provider))
            for number in range(40):
                await answer(provider, provider.body(asks(made, f"question {number}").request(provider)))
            return [
                await answer(provider, waiting),
                await answer(provider, provider.body(first.request(provider))),
            ]
        finally:
            await provider.close()

    kept, served = asyncio.run(go())
    assert isinstance(kept[-1], NotFromCache)
    assert kept[-1].unkept == ""
    assert "message 1 (person): " in kept[-1].cause
    assert isinstance(served[0], FromCache)


@pytest.mark.parametrize("asked", ODD)
def test_what_fails_a_turn_is_not_kept(asked: str, vendor: Simulator, tmp_path: Path) -> None:
    made = asks(Made(MODELS["anthropic"], base_url=vendor.url), asked)

    async def go() -> list[Part]:
        provider = cached(made, tmp_path)
        try:
            return await answer(provider, provider.body(made.request(provider)))
        finally:
            await provider.close()

    *_, last = asyncio.run(go())
    assert isinstance(last, NotFromCache)
    assert ODD[asked][1] in last.unkept
    assert list(tmp_path.iterdir()) == []
