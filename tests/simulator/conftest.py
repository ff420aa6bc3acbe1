"""A plain HTTP client and a way to start simulators, for the tests of this folder."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.simulator import Clock, Rules, Simulator
from harness.simulator.vendor import Brain

MODEL = "claude-opus-4-8"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool = True

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"]["message"])

    @property
    def usage(self) -> tuple[int, int, int]:
        """(read, written, uncached)."""
        usage = self.json["usage"]
        counters = ("cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens")
        read, written, uncached = (int(usage[name]) for name in counters)
        return read, written, uncached

    @property
    def events(self) -> list[tuple[str, Any]]:
        found = []
        for chunk in self.body.decode("utf-8", "replace").split("\n\n"):
            if chunk.startswith("event: ") and "\ndata: " in chunk:
                name, data = chunk[len("event: ") :].split("\ndata: ", 1)
                try:
                    found.append((name, json.loads(data)))
                except ValueError:
                    found.append((name, None))
        return found


@dataclass
class Caller:
    """One client of one simulator. Keeps its connection."""

    sim: Simulator
    key: str | None = "k"
    version: str | None = "2026-10-21"
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, path: str, body: bytes, method: str = "POST", timeout: float = 5.0) -> Reply:
        headers = {"content-type": "application/json", **self.headers}
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        if self.version is not None:
            headers["anthropic-version"] = self.version
        connection = http.client.HTTPConnection(self.sim.url.removeprefix("http://"), timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            try:
                return Reply(response.status, found, response.read())
            except http.client.IncompleteRead as cut:
                return Reply(response.status, found, cut.partial, complete=False)
        finally:
            connection.close()

    def __call__(self, messages: list[Any], **fields: Any) -> Reply:
        request = {"model": MODEL, "max_tokens": 100, "messages": messages, **fields}
        return self.send("/v1/messages", json.dumps({name: v for name, v in request.items() if v is not ...}).encode())

    def get(self, path: str) -> Any:
        return self.send(path, b"", "GET").json

    def post(self, path: str, value: Any) -> Reply:
        return self.send(path, json.dumps(value).encode())


Start = Callable[..., Caller]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator with a standing clock and the answer "ok"; small prompts are cacheable."""
    running: list[Simulator] = []

    def begin(brain: Brain | None = None, key: str | None = "any", **rules: Any) -> Caller:
        rules.setdefault("minimum", 1)
        sim = Simulator(brain or (lambda _: "ok"), Rules(**rules), key, Clock(ticking=False))
        sim.start()
        running.append(sim)
        return Caller(sim)

    yield begin
    for sim in running:
        sim.stop()


def _text(text: str, ttl: str | None = None) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": text}
    if ttl:
        block["cache_control"] = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
    return block


@pytest.fixture
def text() -> Callable[..., dict[str, Any]]:
    """text("words", "1h"): a text block, marked or not."""
    return _text


@pytest.fixture
def row() -> Callable[..., list[Any]]:
    """row(35, {35: "5m"}): one user message of 35 blocks, counted from 1, with these markers."""

    def build(count: int, marks: dict[int, str] | None = None) -> list[Any]:
        marks = marks or {}
        return [{"role": "user", "content": [_text(f"block {at}", marks.get(at)) for at in range(1, count + 1)]}]

    return build


@pytest.fixture
def tool() -> dict[str, Any]:
    return {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}
