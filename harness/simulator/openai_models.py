"""What the pretend vendors of the OpenAI wires know about each model, and what each profile of server does.

Invariant: on the profile `openai` a name that is not a row does not exist (404 model_not_found); every other
profile serves any name, a row or not. The figures are not shared with any client.
Sources: section B (models, windows, reasoning), section C (profiles) of the notes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.simulator.contracts import Contract
from harness.simulator.models import facts_of as anthropic_facts
from harness.simulator.records import Refused
from harness.simulator.rules import Rules

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class OpenAIFacts:
    """One model. Sizes are tokens."""

    name: str
    contract: Contract = "breakpoints"
    min_cacheable: int = 1_024
    step: int = 128
    """B Granularity, before 5.6."""
    max_input: int = 922_000
    max_output: int = 128_000
    reasons: bool = True
    efforts: tuple[str, ...] = EFFORTS
    all_turns: bool = True
    """B Stateless: the default of reasoning.context; else current_turn."""
    only_24h: bool = True
    """openai 3.54.0, prompt_cache_retention: from gpt-5.5 on only 24h is supported."""

    @property
    def breakpoints(self) -> bool:
        """B Control: whether prompt_cache_options and prompt_cache_breakpoint exist for it."""
        return self.contract in {"breakpoints", "anthropic"}


# B: 6.2 rejects the efforts none and minimal. 5.5: implicit breakpoints each 2,048. Window: 1.05M, 922k in.
# Efforts of the others: litellm 1.109.1, supports_*_reasoning_effort.
_NO_SHORT = EFFORTS[2:]
_NONE = ("none", *_NO_SHORT)
_UP_TO_XHIGH = _NONE[:-1]
_OLD = OpenAIFacts("", "steps", all_turns=False, efforts=_UP_TO_XHIGH)
_LOCAL = OpenAIFacts("", "none", min_cacheable=0, reasons=False, max_input=131_072, max_output=32_768)
_ROWS = (
    OpenAIFacts("gpt-6.2-astra", efforts=_NO_SHORT),
    OpenAIFacts("gpt-6.2-sol", efforts=_NO_SHORT),
    OpenAIFacts("gpt-6.1-sol", efforts=_NO_SHORT),
    OpenAIFacts("gpt-6.1-terra", efforts=_NONE),
    OpenAIFacts("gpt-6-astra", efforts=_NO_SHORT),
    OpenAIFacts("gpt-6-sol", efforts=_NONE),
    OpenAIFacts("gpt-6-luna", efforts=_NONE),
    OpenAIFacts("gpt-5.6-sol", efforts=_UP_TO_XHIGH),
    OpenAIFacts("gpt-5.6-terra", efforts=_UP_TO_XHIGH),
    OpenAIFacts("gpt-5.6-luna", efforts=_UP_TO_XHIGH),
    replace(_OLD, name="gpt-5.5", step=2_048),
    replace(_OLD, name="gpt-5.4", only_24h=False),
    # litellm 1.109.1: 272k in.
    replace(_OLD, name="gpt-5.4-mini", only_24h=False, max_input=272_000),
)
# C: served by other profiles than openai.
_OTHERS = (
    replace(_LOCAL, name="deepseek-v4-flash", contract="units", reasons=True, max_input=1_000_000),
    replace(_LOCAL, name="deepseek-v4-pro", contract="units", reasons=True, max_input=1_000_000),
    replace(_LOCAL, name="qwen3-coder-30b"),
    replace(_LOCAL, name="gemma-4-27b"),
    replace(_LOCAL, name="gpt-oss-20b"),
)
OPENAI_MODELS: dict[str, OpenAIFacts] = {row.name: row for row in _ROWS}
OTHER_MODELS: dict[str, OpenAIFacts] = {row.name: row for row in _OTHERS}


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of server does on the OpenAI wires."""

    name: str
    contract: Contract | None
    """None: as the model says."""
    lenient: bool = True
    """Unknown fields are ignored, and any model is served."""
    markers: bool = False
    """Whether cache markers in content parts are understood; elsewhere they are ignored."""
    mid_system: bool = True
    """Whether a system message may stand after the first place."""
    reasoning: str | None = None
    """Field of a message and of a delta that carries the model's thinking."""
    thoughts: Literal["text", "parts"] = "text"
    """Whether thinking is a text in that field, or a part of the content (Mistral)."""
    echo: Literal["required", "free", "signature"] = "free"
    """What has to come back with calls: the reasoning, nothing, or the signature of the first (Gemini)."""
    usage: Literal["openai", "deepseek", "plain", "cached", "nonzero", "top", "written"] = "plain"
    unasked: bool = False
    """Whether a stream tells its usage unasked, and where it ends."""
    affinity: str = ""
    """Field or header that keeps a conversation on one cache: another value reads nothing of it."""
    least: int = 0
    """Tokens below which nothing is cached."""
    step: int = 0
    """Tokens of a unit; 0: as the contract and the rules say."""
    seconds: float | None = None
    """Idle life of an entry; None: until it is evicted."""
    user_after_tools: bool = True
    too_long: str = ""
    """How it says that a prompt of {total} tokens does not fit a window of {window}; "": as OpenAI."""
    reserves: bool = False
    """Whether the window must have room for all of the answer that is asked for; elsewhere the answer ends with it."""
    responses: bool = True
    """Whether it serves POST /v1/responses."""


_PROFILES = (
    Profile("openai", None, lenient=False, markers=True, usage="openai"),
    # C OpenRouter: passes cache_control, translates it to prompt_cache_breakpoint (the TTL is lost).
    Profile("openrouter", None, markers=True, reasoning="reasoning", usage="openai"),
    # C DeepSeek; its own text on reasoning_content: github.com/earendil-works/pi/issues/3636. Completions only.
    Profile(
        "deepseek",
        "units",
        reasoning="reasoning_content",
        echo="required",
        usage="deepseek",
        reserves=True,
        responses=False,
    ),
    # C Local engines. Those that batch requests reserve room for the answer: vllm-project/vllm issues 19861, 42474.
    Profile("ollama", "slots", reasoning="reasoning", usage="cached"),
    Profile("llamacpp", "slots", reasoning="reasoning_content", usage="cached"),
    Profile("vllm", "blocks", mid_system=False, reasoning="reasoning_content", usage="nonzero", reserves=True),
    Profile("sglang", "blocks", mid_system=False, reasoning="reasoning_content", usage="nonzero", reserves=True),
    # C, as their pages and users tell; where a least length is not published, none is taken to be.
    Profile(
        "moonshot",
        "units",
        reasoning="reasoning_content",
        usage="top",
        affinity="prompt_cache_key",
        least=256,
        step=256,
        seconds=300,
        too_long="Invalid request: Your request exceeded model token limit: {window} (requested: {total})",
        responses=False,
    ),
    Profile(
        "zai",
        "units",
        reasoning="reasoning_content",
        usage="cached",
        too_long="Prompt exceeds max length",
        responses=False,
    ),
    # explicit: markers as Anthropic's, four, twenty positions back, five minutes
    Profile(
        "qwen",
        "anthropic",
        markers=True,
        reasoning="reasoning_content",
        usage="written",
        least=1_024,
        too_long="<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, {window}]",
        responses=False,
    ),
    Profile(
        "minimax",
        "units",
        reasoning="reasoning_content",
        usage="cached",
        least=512,
        too_long="invalid params, context window exceeds limit (2013)",
        responses=False,
    ),
    Profile(
        "xai",
        "units",
        reasoning="reasoning_content",
        usage="cached",
        affinity="x-grok-conv-id",
        too_long="This model's maximum prompt length is {window} but the request contains {total} tokens.",
    ),
    # "Unexpected role 'user' after role 'tool'": mistralai/mistral-vibe 1006
    Profile(
        "mistral",
        "units",
        thoughts="parts",
        usage="cached",
        unasked=True,
        affinity="prompt_cache_key",
        user_after_tools=False,
        too_long="Prompt contains {total} tokens, too large for model with {window} maximum context length",
        responses=False,
    ),
    # ai.google.dev/gemini-api/docs/thought-signatures; its OpenAI endpoint as its users quote it
    Profile(
        "gemini",
        "units",
        echo="signature",
        usage="cached",
        least=4_096,
        too_long="The input token count ({total}) exceeds the maximum number of tokens allowed ({window}).",
        responses=False,
    ),
    Profile(
        "groq",
        "units",
        reasoning="reasoning",
        usage="cached",
        seconds=7_200,
        too_long="Please reduce the length of the messages or completion.",
    ),
    Profile("generic", "none"),
)
PROFILES: dict[str, Profile] = {row.name: row for row in _PROFILES}


def profile_of(rules: Rules) -> Profile:
    """The profile of the rules, with what they say otherwise."""
    profile = PROFILES[rules.profile]
    if rules.mid_system != "profile":
        profile = replace(profile, mid_system=rules.mid_system == "accept")
    return profile


def heard(request: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """The request as this server reads it: where there are no markers, prompt_cache_* is ignored (C)."""
    if profile.markers:
        return request
    kept = {name: value for name, value in request.items() if not name.startswith("prompt_cache_")}
    return kept | {name: value for name, value in request.items() if name == profile.affinity}


def facts_for(name: str, profile: Profile, rules: Rules) -> OpenAIFacts:
    """Facts of a model as this server runs it. Refused (404 model_not_found) when it has no such model."""
    facts = OPENAI_MODELS.get(name.removeprefix("openai/") if profile.name == "openrouter" else name)
    if not profile.lenient and facts is None:
        raise Refused(
            f"The model `{name}` does not exist or you do not have access to it.", status=404, code="model_not_found"
        )
    if facts is None:
        facts = OTHER_MODELS.get(name.rpartition("/")[2], _LOCAL)
        if profile.name == "openrouter" and name.startswith("anthropic/"):
            facts = _of_anthropic(name)
    contract: Contract = profile.contract or facts.contract
    if rules.contract != "model":
        contract = rules.contract
    if contract != facts.contract:
        least = 1_024 if contract in {"breakpoints", "steps"} else profile.least
        facts = replace(facts, contract=contract, min_cacheable=least, step=128)
    least = facts.min_cacheable if rules.minimum is None else rules.minimum
    return replace(facts, name=name, min_cacheable=least, step=_step(facts, profile, rules))


def _of_anthropic(name: str) -> OpenAIFacts:
    known = anthropic_facts(name.removeprefix("anthropic/").replace(".", "-"))
    if known is None:
        return replace(_LOCAL, contract="anthropic", min_cacheable=1_024)
    return replace(
        _LOCAL,
        contract="anthropic",
        min_cacheable=known.min_cacheable,
        max_input=known.context_window,
        max_output=known.max_output,
    )


def _step(facts: OpenAIFacts, profile: Profile, rules: Rules) -> int:
    if profile.step:
        return profile.step
    # C SGLang: a tree, which parts anywhere.
    block = 1 if profile.name == "sglang" else rules.block_tokens
    return {"units": rules.unit_interval, "blocks": block}.get(facts.contract, facts.step)
