"""A3: which change loses which level (platform.claude.com/docs/en/build-with-claude/prompt-caching)."""

from __future__ import annotations

from typing import Any

import pytest

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
CITED = {"type": "document", "source": {"type": "text", "data": "x"}, "citations": {"enabled": True}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "A3 row 1 tool definitions": ({"tools": "other"}, "nothing"),
    "A3 row 1 model": ({"model": "claude-opus-4-7"}, "nothing"),
    "A3 row 2 speed": ({"speed": "fast"}, "tools"),
    "A3 row 2 web search": ({"search": True}, "tools"),
    "A3 row 2 web fetch": ({"fetch": True}, "tools"),
    "A3 row 2 citations": ({"cited": True}, "tools"),
    "A3 row 3 tool_choice": ({"tool_choice": {"type": "none"}}, "system"),
    "A3 row 3 parallel": ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, "system"),
    "A3 row 3 image": ({"image": True}, "system"),
    "A3 row 4 thinking": ({"thinking": {"type": "adaptive"}}, "system"),
    "A3 row 4 effort": ({"output_config": {"effort": "low"}}, "system"),
    "A3 row 5 format": (
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        "system",
    ),
    "A3 default = omitted, tool_choice": ({"tool_choice": {"type": "auto"}}, "messages"),
    "A3 default = omitted, effort": ({"output_config": {"effort": "high"}}, "messages"),
    "A3 default = omitted, speed": ({"speed": "standard"}, "messages"),
    "A5 a tool more": ({"find": True}, "tools"),
    "A4 permitted max_tokens": ({"max_tokens": 7}, "messages"),
}


def request(text: Any, tool: Any, change: dict[str, Any]) -> dict[str, Any]:
    change = dict(change)
    mark = {"cache_control": {"type": "ephemeral"}}
    tools = [(tool | {"description": "x"} if change.pop("tools", None) else tool) | mark]
    if change.pop("search", None):
        tools.append(SEARCH)
    if change.pop("fetch", None):
        tools.append({"type": "web_fetch_20250910", "name": "web_fetch"})
    if change.pop("find", None):
        tools.append({"type": "tool_search_tool_bm25_20251119", "name": "find"})
    cited = [CITED] if change.pop("cited", None) else []
    image = [PNG] if change.pop("image", None) else []
    return {
        "tools": tools,
        "system": [text("be kind", "5m")],
        "messages": [{"role": "user", "content": [text("hello", "5m"), *image, *cited, text("more")]}],
        **change,
    }


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("level", ["messages"])
def test_a3_level_kept(start: Any, text: Any, tool: Any, name: str, level: str) -> None:
    change, kept = CHANGES[name]
    call = start(settings_level=level)
    call(**request(text, tool, {}))
    blocks = call.sim.requests[0].blocks
    upto = {"nothing": 0, "tools": 1, "system": 2, "messages": 3}[kept]
    assert call(**request(text, tool, change)).usage[0] == sum(block.tokens for block in blocks[:upto])


@pytest.mark.parametrize(("level", "upto"), [("tools", 0), ("system", 1), ("messages", 2)])
def test_a3_row_4_model_specific_levels_are_an_option(start: Any, text: Any, tool: Any, level: str, upto: int) -> None:
    call = start(settings_level=level)
    call(**request(text, tool, {}))
    blocks = call.sim.requests[0].blocks
    read = call(**request(text, tool, {"thinking": {"type": "adaptive"}})).usage[0]
    assert read == sum(block.tokens for block in blocks[:upto])


def test_the_line_names_the_settings(start: Any) -> None:
    call = start(betas_in_key=True)
    hello = [{"role": "user", "content": "hi"}]
    call.headers = {"anthropic-beta": "b,a"}
    call(hello, output_config={"effort": "low"}, thinking={"type": "adaptive"})
    call.headers = {}
    call(hello, output_config={"effort": "high"})
    first, second = (request.line for request in call.sim.requests)
    assert first == (
        'claude-opus-4-8 {"betas": ["a", "b"], "output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}}'
    )
    assert second == "claude-opus-4-8"
