"""The key of a cached response: everything that the answer depends on changes it, and nothing else does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from harness.caches.response_key import Components, components, difference, likeness, read_components
from harness.conversation.blocks import Image, Message, Setting, Text, Thinking, ToolCall, ToolResult
from harness.conversation.canonical import decode, encode
from harness.conversation.request import Line, Marker, Request
from harness.prompt.prefix import assemble
from harness.prompt.projection import Projection
from harness.providers import connect
from harness.providers.base import Access, Provider
from harness.providers.catalog import Catalog
from harness.seam import Seam

MODELS = {
    "anthropic": "anthropic/claude-opus-4-8",
    "responses": "openai/gpt-6.1-sol",
    "chat": "openai-chat/openrouter/openai/gpt-6.1-sol",
}


CATALOG = Catalog.load()


@functools.cache
def provider_of(name: str, base_url: str, key: str, headers: tuple[tuple[str, str], ...], idle: float) -> Provider:
    """A model's provider; it connects nowhere, so there is nothing to close."""
    return connect.provider(CATALOG.find(name), Access(base_url, key, dict(headers)), "harness-key", Seam(), idle)


def tool(name: str, what: str = "Does it.", **properties: Any) -> dict[str, Any]:
    return {"name": name, "description": what, "input_schema": {"type": "object", "properties": properties}}


CALL = ToolCall("call_1", "read", {"path": "a.py"})
OTHER = ToolCall("call_2", "read", {"path": "b.py"})


@dataclass(frozen=True)
class Made:
    """All that a request is made of."""

    model: str
    base_url: str = "https://vendor.example/v1"
    headers: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    max_tokens: int = 1000
    tools: tuple[dict[str, Any], ...] = (tool("grep"), tool("read", path={"type": "string"}))
    static: str = "You are an agent."
    session: str = "Rules."
    messages: tuple[Message, ...] = (
        Message("system_injected", (Text("[Session context: Today is 2026-05-13]"),)),
        Message("person", (Text("Read a.py."), Image("image/png", "aGk="))),
        Message("answer", (Text("I read."), CALL, OTHER)),
        Message("results", (ToolResult("call_1", (Text("one"),)), ToolResult("call_2", (Text("two"),)))),
    )
    markers: tuple[Marker, ...] = ()
    compare: str | None = None
    seq: int = 0
    idle: float = 60.0
    key: str = "k-0123456789"

    def with_message(self, at: int, *blocks: Any) -> Made:
        changed = replace(self.messages[at], blocks=blocks)
        return replace(self, messages=(*self.messages[:at], changed, *self.messages[at + 1 :]))

    @property
    def components(self) -> Components:
        provider = provider_of(self.model, self.base_url, self.key, tuple(self.headers.items()), self.idle)
        request = self.request(provider)
        return components(request, provider.body(request), provider, connect.cache_fields(CATALOG.find(self.model)))

    def request(self, provider: Provider) -> Request:
        model = CATALOG.find(self.model)
        frozen = provider.prefix(assemble(self.tools, self.static, self.session))
        projection = Projection(frozen, provider.envelope)
        for at, message in enumerate(self.messages):
            (fragments,) = provider.render((message,), projection.after)
            projection.add(self.seq + at, message, fragments)
        line = Line(model.wire, provider.base_url, model.name, dict(self.settings))
        return Request(line, frozen, projection.messages, self.markers, self.max_tokens, compare=self.compare)


@pytest.fixture(params=MODELS)
def made(request: pytest.FixtureRequest) -> Made:
    """A request of each wire."""
    return Made(MODELS[request.param])


def signed(made: Made, signature: str) -> tuple[Any, ...]:
    item = encode({"encrypted_content": signature, "id": "rs_1", "summary": [], "type": "reasoning"}).decode()
    echo = encode({"reasoning_details": [{"data": signature}]}).decode()
    own = {"anthropic": "", "openai": item, "openai-chat": echo}[made.model.partition("/")[0]]
    # there, a signature is the kind of item that it belongs to
    bound = "message" if made.model.startswith("openai/") else signature
    return (Thinking("hm", bound, made.model, item=own), Text("I read."), CALL, OTHER)


CHANGES: dict[str, Callable[[Made], Made]] = {
    "base URL": lambda m: replace(m, base_url="https://other.example/v1"),
    "model": lambda m: replace(m, model=m.model.replace("opus-4-8", "sonnet-5-5").replace("6.1", "6")),
    "max_tokens": lambda m: replace(m, max_tokens=1001),
    "effort": lambda m: replace(m, settings={"reasoning": {"effort": "high"}}),
    "thinking": lambda m: replace(m, settings={"thinking": {"type": "adaptive"}}),
    "tool_choice": lambda m: replace(m, settings={"tool_choice": "required"}),
    "output format": lambda m: replace(m, settings={"output_format": {"type": "json_schema"}}),
    "temperature": lambda m: replace(m, settings={"temperature": 0}),
    "betas": lambda m: replace(m, headers={"anthropic-beta": "b-1", "openai-beta": "b-1"}),
    "version of the API": lambda m: replace(m, headers={"anthropic-version": "2030-01-01", "openai-version": "2"}),
    "what a gateway goes by": lambda m: replace(m, headers={"X-Gateway-Config": "seven"}),
    "a tool's description": lambda m: replace(m, tools=(m.tools[0], tool("read", "Reads.", path={"type": "string"}))),
    "a tool's schema": lambda m: replace(m, tools=(m.tools[0], tool("read", path={"type": "number"}))),
    "a tool more": lambda m: replace(m, tools=(*m.tools, tool("write"))),
    "a tool less": lambda m: replace(m, tools=m.tools[:1]),
    "a tool's name": lambda m: replace(m, tools=(tool("grepp"), m.tools[1])),
    "static block": lambda m: replace(m, static=m.static + " "),
    "session block": lambda m: replace(m, session="rules."),
    "a date": lambda m: m.with_message(0, Text("[Session context: Today is 2026-05-14]")),
    "a word of the person": lambda m: m.with_message(1, Text("Read a.py!"), Image("image/png", "aGk=")),
    "an image": lambda m: m.with_message(1, Text("Read a.py."), Image("image/png", "aGh=")),
    "an image's type": lambda m: m.with_message(1, Text("Read a.py."), Image("image/jpeg", "aGk=")),
    "one text as two": lambda m: m.with_message(1, Text("Read "), Text("a.py."), Image("image/png", "aGk=")),
    "an argument": lambda m: m.with_message(2, Text("I read."), replace(CALL, arguments={"path": "c.py"}), OTHER),
    "an answer's text": lambda m: m.with_message(2, Text("I read!"), CALL, OTHER),
    "thinking's signature": lambda m: m.with_message(2, *signed(m, "sig")),
    "a result": lambda m: m.with_message(3, ToolResult("call_1", (Text("One"),)), ToolResult("call_2", (Text("two"),))),
    "results that changed places": lambda m: m.with_message(
        3, ToolResult("call_1", (Text("two"),)), ToolResult("call_2", (Text("one"),))
    ),
    "a message more": lambda m: replace(m, messages=(*m.messages, Message("person", (Text("And?"),)))),
    "a message less": lambda m: replace(m, messages=m.messages[:1]),
    "messages in another order": lambda m: replace(m, messages=(m.messages[1], m.messages[0], *m.messages[2:])),
}
"""Each changes one input, on every wire."""

SAME: dict[str, Callable[[Made], Made]] = {
    "markers": lambda m: replace(
        m,
        markers=(
            Marker("static", -1, 0, "", "5m"),
            Marker("session", -1, 1, "", "5m"),
            Marker("write", 1, 0, "", "5m"),
        ),
    ),
    "a marker's TTL": lambda m: replace(m, markers=(Marker("static", -1, 0, "", "1h"),)),
    "cache key": lambda m: replace(m, settings={"prompt_cache_key": "harness-1", "session_id": "2"}),
    "cache options": lambda m: replace(m, settings={"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}),
    "diagnostics": lambda m: replace(m, compare="msg_17"),
    "diagnostics, none yet": lambda m: replace(m, compare=""),
    "record numbers": lambda m: replace(m, seq=1000),
    "timeout": lambda m: replace(m, idle=1.0),
    "the key that pays": lambda m: replace(m, key="other-0123456789"),
    "who asks": lambda m: replace(
        m, headers={"OpenAI-Organization": "o", "x-gateway-api-key": "k", "Cookie": "c", "Authorization": "Bearer x"}
    ),
    "how it is traced": lambda m: replace(m, headers={"x-request-id": "1", "traceparent": "00-1"}),
}
"""Each changes what no answer depends on. Retries are not there at all: what is sent again is the same body."""


def test_there_are_enough_of_them() -> None:
    assert len(CHANGES) >= 20


@pytest.mark.parametrize("change", CHANGES)
def test_each_input_changes_the_key_and_is_named(change: str, made: Made) -> None:
    before, after = made.components, CHANGES[change](made).components

    assert after.key != before.key
    assert difference(after, before, {**before.texts, **after.texts}), change


@pytest.mark.parametrize("change", SAME)
def test_what_no_answer_depends_on_leaves_the_key(change: str, made: Made) -> None:
    before, after = made.components, SAME[change](made).components

    assert after.key == before.key
    assert difference(after, before, {}) == ""


def test_the_wire_is_part_of_the_key() -> None:
    keys = {Made(model).components.key for model in MODELS.values()}
    assert len(keys) == len(MODELS)


def test_a_failed_result_is_another(made: Made) -> None:
    failed = made.with_message(
        3, ToolResult("call_1", (Text("one"),), is_error=True), ToolResult("call_2", (Text("two"),))
    )
    assert failed.components.key != made.components.key


def test_an_effort_in_the_conversation_is_part_of_the_key() -> None:
    made = Made("anthropic/claude-opus-5-5")
    told = replace(made, messages=(*made.messages, Message("setting", (Setting("effort", "high", made.model),))))
    assert told.components.key != made.components.key
    assert "message 5 (setting)" in difference(told.components, made.components, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model", "model: "),
        ("max_tokens", "1001, was 1000"),
        ("betas", "-beta"),
        ("what a gateway goes by", "header x-gateway-config added"),
        ("a tool's schema", "tools: read changed"),
        ("a tool more", "tools: write added"),
        ("a tool less", "tools: read gone"),
        ("static block", "static system block"),
        ("session block", "session system block"),
        ("a date", "message 1 (session context): …"),
        ("a word of the person", "message 2 (person): …"),
        ("a result", "message 4 (results): …"),
        ("a message more", "message 5 (person): the nearest cached request ends before it"),
        ("a message less", "message 2: the nearest cached request goes on with one (person)"),
    ],
)
def test_a_difference_names_its_component(change: str, said: str, made: Made) -> None:
    before, after = made.components, CHANGES[change](made).components
    # as it is for who has cached the requests before, too
    texts = {**before.texts, **after.texts}
    for one in (made, CHANGES[change](made)):
        for count in range(1, len(one.messages)):
            texts.update(replace(one, messages=one.messages[:count]).components.texts)
    assert said in difference(after, before, texts)


def test_the_nearest_is_the_one_that_says_what_differs(made: Made) -> None:
    mine = made.components
    shorter = replace(made, messages=made.messages[:3]).components
    other = CHANGES["a result"](made).components
    far = CHANGES["a date"](made).components
    assert sorted([far, other, shorter], key=lambda kept: likeness(mine, kept))[::-1] == [other, shorter, far]


def test_components_come_back_from_their_json(made: Made) -> None:
    mine = made.components
    back = read_components(decode(encode(mine.to_json())), dict(mine.texts))
    assert back == mine
    assert back.key == mine.key


def test_no_secret_of_a_header_is_in_the_key() -> None:
    headers = {"Anthropic-Beta": "b-1", "anthropic-beta": "b-2", "X-Route": "hidden-value", "X-Auth": "hidden-key"}
    about = dict(Made(MODELS["anthropic"], headers=headers).components.about)

    assert about["header anthropic-beta"] == "b-1,b-2"
    assert about["header anthropic-version"]
    assert "header x-auth" not in about
    assert "hidden" not in str(about)


def test_a_header_that_steers_the_vendors_cache_is_left_out() -> None:
    made = Made("openai-chat/xai/grok-4")
    name = "x-grok-conv-id"
    assert f"header {name}" in connect.cache_fields(CATALOG.find(made.model))
    assert replace(made, headers={name: "1"}).components.key == replace(made, headers={name: "2"}).components.key
