"""A plain HTTP client and a way to start simulators, for the tests of this folder."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.simulator import Clock, Rules, Simulator
from harness.simulator.vendor import Brain

MODEL = "claude-opus-4-8"
GPT = "gpt-6.1-sol"


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
    def bill(self) -> tuple[int, int, int]:
        """(read, written, whole prompt) of an OpenAI wire; nothing said is 0."""
        usage = self.json["usage"]
        details = usage.get("input_tokens_details") or usage.get("prompt_tokens_details") or {}
        total = usage["input_tokens"] if "input_tokens" in usage else usage["prompt_tokens"]
        return details.get("cached_tokens", 0), details.get("cache_write_tokens", 0), total

    @property
    def failure(self) -> tuple[int, str, str | None, str | None]:
        """(status, text, param, code) of an OpenAI wire."""
        error = self.json["error"]
        return self.status, str(error["message"]), error["param"], error["code"]

    @property
    def chunks(self) -> list[Any]:
        """The data of a Chat Completions stream; the last is "[DONE]"."""
        lines = [line[len("data: ") :] for line in self.body.decode().split("\n\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

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

    def respond(self, items: Any, **fields: Any) -> Reply:
        """POST /v1/responses, stateless."""
        include = ["reasoning.encrypted_content"]
        request = {"model": GPT, "store": False, "include": include, "input": items, **fields}
        return self.send("/v1/responses", json.dumps({name: v for name, v in request.items() if v is not ...}).encode())

    def chat(self, messages: Any, **fields: Any) -> Reply:
        """POST /v1/chat/completions."""
        request = {"model": GPT, "messages": messages, **fields}
        body = json.dumps({name: v for name, v in request.items() if v is not ...}).encode()
        return self.send("/v1/chat/completions", body)

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


MARK = {"mode": "explicit"}


@pytest.fixture
def part() -> Callable[..., dict[str, Any]]:
    """part("words", MARK): an input_text, with a breakpoint or without."""

    def build(text: str, mark: dict[str, Any] | None = None, kind: str = "input_text") -> dict[str, Any]:
        return {"type": kind, "text": text, **({"prompt_cache_breakpoint": mark} if mark else {})}

    return build


@pytest.fixture
def items(part: Callable[..., dict[str, Any]]) -> Callable[..., list[Any]]:
    """items(5, {5}): five user messages of one part of 25 tokens each, counted from 1, these with a breakpoint."""

    def build(count: int, marks: Iterable[int] = (), start: int = 1) -> list[Any]:
        made = []
        for at in range(start, count + 1):
            # 42 bytes of envelope; 100 bytes in all.
            text = f"message {at} ".ljust(68, ".")
            made.append({"role": "user", "content": [part(text, MARK if at in set(marks) else None)]})
        return made

    return build


@pytest.fixture
def function() -> dict[str, Any]:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    return {"type": "function", "name": "look", "description": "Looks.", "parameters": schema, "strict": False}


@pytest.fixture
def tool() -> dict[str, Any]:
    return {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}
