"""Anthropic Messages requests: from checked JSON to blocks, breakpoints, a line and a prompt for the cache.

Invariant: pure; blocks come out in the vendor's order (tools, system, messages), byte for byte as sent,
markers aside. Key order inside a block is kept, because the match is on identical segments (A2).
Sources: platform.claude.com/docs/en/build-with-claude/prompt-caching and .../thinking.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.simulator.models import ModelFacts
from harness.simulator.prefix_cache import Prompt
from harness.simulator.records import LEVELS, Block, Level, Refused, Ttl, trailing_settings
from harness.simulator.rules import Rules
from harness.simulator.signatures import THINKING_KINDS, PrefixDigest, judge, judge_redacted
from harness.simulator.validation import BINDING_BETA

WIRE = "anthropic"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Understood:
    """A request that was accepted, as the rest of the simulator needs it."""

    facts: ModelFacts
    blocks: tuple[Block, ...] = field(repr=False)
    prompt: Prompt = field(repr=False)
    line: str
    prefix: Callable[[], PrefixDigest] = field(repr=False)
    """Makes the digest of the whole request, which the thinking of the answer is bound to."""
    effort: str | None
    """The effort in force for the answer: the last that a message sets, or the request's own."""
    room: int
    """Tokens that the window leaves for the answer."""
    transformations: tuple[dict[str, str], ...]
    """A4 `input_transformations`: the thinking that failed a check and was left out, and why."""


@dataclass(frozen=True, slots=True)
class _Part:
    level: Level
    role: str
    message: int
    place: int
    value: dict[str, Any] | str
    """The block without cache_control, or the text of a content given as a string."""
    marks: tuple[Ttl, ...]
    """Those inside a tool result, then its own."""
    kind: str

    @property
    def marker(self) -> Ttl | None:
        """A breakpoint inside a tool result is taken to stand at the end of that result."""
        return self.marks[-1] if self.marks else None

    @property
    def bindable(self) -> dict[str, Any]:
        return {"type": "text", "text": self.value} if isinstance(self.value, str) else self.value


def understand(
    request: Mapping[str, Any], headers: Mapping[str, str], facts: ModelFacts, rules: Rules, workspace: str
) -> Understood:
    """Account for a checked request. Refuses bad breakpoints (A2), moved thinking (A4), full windows (A7)."""
    parts = list(_parts(request))
    _place_automatic(parts, request.get("cache_control"))
    _check_markers(parts, rules)
    dropped = _judge_thinking(parts, request, facts, rules)
    blocks = tuple(
        Block(
            level=part.level,
            role=part.role,
            message=part.message,
            first=part.place == 0,
            canonical=_encode(part.value).encode("utf-8", "surrogatepass"),
            marker=part.marker,
            kind=part.kind,
            counted=index not in dropped.indexes,
        )
        for index, part in enumerate(parts)
    )
    prompt = _prompt(blocks, _salts(request, parts, headers, facts, rules, workspace), facts, rules)
    window = rules.context_window or facts.context_window
    if prompt.total > window:
        raise Refused(f"prompt is too long: {prompt.total} tokens > {window} maximum")
    line = line_of(request, headers, facts, rules)
    return Understood(
        facts=facts,
        blocks=blocks,
        prompt=prompt,
        line=line,
        prefix=lambda: _digest(part for index, part in enumerate(parts) if index not in dropped.indexes),
        effort=_effort(request),
        room=window - prompt.total,
        transformations=tuple(dropped.report) if BINDING_BETA in headers.get("anthropic-beta", "") else (),
    )


def _effort(request: Mapping[str, Any]) -> str | None:
    """A5: a message's effort holds until the next one."""
    said = (message.get("output_config") or {} for message in request["messages"])
    top = (request.get("output_config") or {}).get("effort")
    return next((effort for effort in reversed([output.get("effort") for output in said]) if effort), top)


def line_of(request: Mapping[str, Any], headers: Mapping[str, str], facts: ModelFacts, rules: Rules) -> str:
    """Model and every setting whose change loses some level of the cache (A3); a default is as omitted."""
    settings = _settings(request, facts)
    betas = sorted(beta.strip() for beta in headers.get("anthropic-beta", "").split(",") if beta.strip())
    if betas and rules.betas_in_key:
        settings["betas"] = betas
    return f"{facts.name} {json.dumps(settings, sort_keys=True)}" if settings else facts.name


def _settings(request: Mapping[str, Any], facts: ModelFacts) -> dict[str, Any]:
    """A3 "explicit default = omitted": only what differs from the default."""
    found: dict[str, Any] = {}
    choice = {name: value for name, value in (request.get("tool_choice") or {}).items() if value not in (None, False)}
    if choice and choice != {"type": "auto"}:
        found["tool_choice"] = choice
    thinking = {
        name: value
        for name, value in (request.get("thinking") or {}).items()
        if value is not None and name != "block_binding"
    }
    if thinking and thinking != {"type": "adaptive" if facts.always_thinks else "disabled"}:
        found["thinking"] = thinking
    output = {name: value for name, value in (request.get("output_config") or {}).items() if value is not None}
    if output.get("effort") == "high":
        del output["effort"]
    if output:
        found["output_config"] = output
    if request.get("speed") not in (None, "standard"):
        found["speed"] = request["speed"]
    return found


def _parts(request: Mapping[str, Any]) -> Iterator[_Part]:
    """A2 hierarchy: tools, then system, then messages."""
    tools = request.get("tools") or []
    web = [tool for tool in tools if str(tool.get("type", "")).startswith(("web_search_", "web_fetch_"))]
    for place, tool in enumerate(tool for tool in tools if tool not in web):
        yield _part("tools", "", -1, place, tool)
    # A3: toggling web search or fetch keeps the tools level and loses the system level.
    for place, tool in enumerate(web):
        yield _part("system", "", -1, place, tool)
    system = request.get("system") or []
    for place, block in enumerate([system] if isinstance(system, str) else system):
        yield _part("system", "system", -1, place, block)
    for index, message in enumerate(request["messages"]):
        content = message["content"]
        listed = [content] if isinstance(content, str) else content
        for place, block in enumerate(listed):
            yield _part("messages", message["role"], index, place, block)
        if message.get("output_config"):
            # A5: what it costs is not told; it is counted as sent
            setting = {"output_config": message["output_config"]}
            made = _part("messages", message["role"], index, len(listed), setting)
            yield replace(made, kind="output_config")


def _part(level: Level, role: str, message: int, place: int, block: dict[str, Any] | str) -> _Part:
    if isinstance(block, str):
        return _Part(level, role, message, place, block, (), "text")
    controls = [block.get("cache_control")]
    bare = block
    if "cache_control" in block:
        bare = {name: value for name, value in block.items() if name != "cache_control"}
    content = bare.get("content")
    if isinstance(content, list) and any("cache_control" in part for part in content):
        controls[:0] = (part.get("cache_control") for part in content)
        inner = [{name: value for name, value in part.items() if name != "cache_control"} for part in content]
        bare = {**bare, "content": inner}
    marks = tuple(ttl for control in controls if (ttl := _ttl(control)))
    return _Part(level, role, message, place, bare, marks, str(block.get("type") or "custom"))


def _ttl(control: Mapping[str, Any] | None) -> Ttl | None:
    if not control:
        return None
    return "1h" if control.get("ttl") == "1h" else "5m"  # A2 cache_control: 5m unless said otherwise


def _place_automatic(parts: list[_Part], control: Mapping[str, Any] | None) -> None:
    """A2 automatic: a top-level cache_control lands on the last cacheable block, walking back to find it."""
    ttl = _ttl(control)
    if ttl is None:
        return
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if (
            part.kind in THINKING_KINDS
            or part.kind == "output_config"
            or (part.kind == "text" and not part.bindable.get("text"))
        ):
            continue
        if part.marker is not None and part.marker != ttl:
            raise Refused(
                f"cache_control: automatic caching with ttl='{ttl}' conflicts with the "
                f"ttl='{part.marker}' breakpoint on the last block"
            )
        if part.marker is None:
            parts[index] = replace(part, marks=(ttl,))
        return


def _check_markers(parts: list[_Part], rules: Rules) -> None:
    marked = [(part, ttl) for part in parts for ttl in part.marks]
    found = len(marked)
    if found > rules.max_markers:
        # A6 texts; A2 automatic: it takes one of the four slots.
        raise Refused(f"A maximum of {rules.max_markers} blocks with cache_control may be provided. Found {found}.")
    short = False
    for part, ttl in marked:
        if ttl == "1h" and short:
            # A2 mixed TTLs: the longer must come before the shorter.
            raise Refused(
                f"{_where(part)}.cache_control.ttl: a ttl='1h' cache_control block must not come after a "
                "ttl='5m' cache_control block. Note that blocks are processed in the following order: "
                "`tools`, `system`, `messages`."
            )
        short = short or ttl == "5m"


def _where(part: _Part) -> str:
    return f"messages.{part.message}.content.{part.place}" if part.level == "messages" else f"{part.level}.{part.place}"


@dataclass(slots=True)
class _Dropped:
    """Thinking blocks that are left out of the prompt."""

    indexes: set[int] = field(default_factory=set)
    report: list[dict[str, str]] = field(default_factory=list)
    """Of those that failed a check; what a model strips by itself failed none."""


_REASONS = {"foreign": "model_binding_mismatch", "moved": "prefix_binding_mismatch"}


def _judge_thinking(parts: list[_Part], request: Mapping[str, Any], facts: ModelFacts, rules: Rules) -> _Dropped:
    """The thinking blocks that are left out of the prompt; refuses those that do not hold (A4)."""
    dropped = _Dropped()
    if not any(part.kind in THINKING_KINDS for part in parts):
        return dropped
    binds = rules.binding == "all" or (rules.binding == "models" and facts.binds_thinking)
    control = (request.get("thinking") or {}).get("block_binding") or {}
    drop_moved = control.get("prefix_mismatch_behavior") == "drop_block"
    stripped_before = _strip_limit(request["messages"]) if facts.strips_thinking else 0
    prefix = PrefixDigest()
    for index, part in enumerate(parts):
        if part.kind not in THINKING_KINDS or isinstance(part.value, str):
            prefix.add(part.role or part.level, part.bindable)
            continue
        if part.message < stripped_before:
            dropped.indexes.add(index)
            continue
        if part.kind == "thinking":
            text, sign = part.value["thinking"], part.value["signature"]
            verdict = judge(sign, text, facts.name, prefix.value(), binds=binds)
        else:
            verdict = judge_redacted(part.value["data"], facts.name, prefix.value(), binds=binds)
        if (verdict == "foreign" and rules.foreign_thinking == "drop") or (verdict == "moved" and drop_moved):
            dropped.indexes.add(index)
            dropped.report.append({"type": "thinking_dropped", "path": _where(part), "reason": _REASONS[verdict]})
        elif verdict != "good":
            raise Refused(_invalid(part, moved=verdict == "moved"))
        else:
            prefix.add(part.role, part.value)
    return dropped


def _digest(parts: Iterable[_Part]) -> PrefixDigest:
    prefix = PrefixDigest()
    for part in parts:
        prefix.add(part.role or part.level, part.bindable)
    return prefix


def _invalid(part: _Part, *, moved: bool) -> str:
    """A4: the text of a signature that does not hold."""
    name = "signature" if part.kind == "thinking" else "data"
    text = f"{_where(part)}: Invalid `{name}` in `{part.kind}` block."
    if moved:
        text += (
            " The block is bound to a different conversation. Remove the block, or set "
            '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
        )
    return text


def _strip_limit(messages: list[Any]) -> int:
    """A3: a user message that is not only tool results strips the thinking before it, on some models."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message["role"] == "user" and (
            isinstance(message["content"], str) or any(part["type"] != "tool_result" for part in message["content"])
        ):
            return index
    return 0


def _salts(
    request: Mapping[str, Any],
    parts: list[_Part],
    headers: Mapping[str, str],
    facts: ModelFacts,
    rules: Rules,
    workspace: str,
) -> dict[Level, str]:
    """A3 invalidation: what each level's entries depend on besides the blocks before them."""
    settings = _settings(request, facts)
    output = settings.get("output_config") or {}
    salts: dict[Level, dict[str, Any]] = {
        "tools": {"workspace": workspace, "model": facts.name},
        "system": {"speed": settings.get("speed"), "citations": _cites(parts)},
        "messages": {
            "tool_choice": settings.get("tool_choice"),
            "format": output.get("format"),
            # Only whether there is any image at all; the doc says "images added or removed".
            "images": _has_image(parts),
        },
    }
    # A3 "model-specific": the first level lost by a change of thinking parameters or effort is a rule.
    salts[rules.settings_level]["thinking"] = settings.get("thinking")
    salts[rules.settings_level]["effort"] = output.get("effort")
    if rules.betas_in_key:
        salts["tools"]["betas"] = headers.get("anthropic-beta", "")
    return {level: json.dumps(salts[level], sort_keys=True) for level in LEVELS}


def _has_image(parts: list[_Part]) -> bool:
    for part in parts:
        if part.kind == "image":
            return True
        if part.kind == "tool_result" and isinstance(part.value, dict):
            content = part.value.get("content")
            if isinstance(content, list) and any(inner.get("type") == "image" for inner in content):
                return True
    return False


def _cites(parts: list[_Part]) -> bool:
    return any(
        part.kind in ("document", "search_result") and bool((part.bindable.get("citations") or {}).get("enabled"))
        for part in parts
    )


def _prompt(blocks: tuple[Block, ...], salts: Mapping[Level, str], facts: ModelFacts, rules: Rules) -> Prompt:
    digests: list[bytes] = []
    tokens: list[int] = []
    positions: list[int] = []
    markers: list[tuple[int, Ttl]] = []
    ends: list[int] = []
    state = hashlib.sha256()
    total, position, previous = 0, -1, ""
    entered = 0
    for block in blocks:
        if not block.counted:
            continue
        while entered <= LEVELS.index(block.level):
            state.update(f"{LEVELS[entered]}{salts[LEVELS[entered]]}".encode())
            entered += 1
        state.update(f"{block.role}:{block.size}:".encode())
        state.update(block.canonical)
        total += block.tokens
        # A2 lookback: with run collapsing, a run of tool_use or of tool_result is one position.
        run = rules.collapse_tool_runs and block.kind in ("tool_use", "tool_result") and block.kind == previous
        position += 0 if run else 1
        previous = block.kind
        if block.marker:
            markers.append((len(digests), block.marker))
        if block.level == "system" and block.role == "system":
            ends.append(len(digests))
        digests.append(state.digest())
        tokens.append(total)
        positions.append(position)
    return Prompt(
        digests=tuple(digests),
        tokens=tuple(tokens),
        positions=tuple(positions),
        markers=tuple(markers),
        system_ends=tuple(ends),
        minimum=facts.min_cacheable if rules.minimum is None else rules.minimum,
        trailing=trailing_settings(blocks),
    )
