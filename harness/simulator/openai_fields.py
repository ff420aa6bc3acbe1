"""How the OpenAI wires word a refusal, and the checks that both of them make.

Invariant: pure; every refusal names its parameter as the vendor does, and unknown fields are refused on a
strict profile only.
Texts: as quoted in public reports (openai/codex, vercel/ai, continuedev/continue issue trackers); section B.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from harness.simulator.openai_models import OpenAIFacts, Profile
from harness.simulator.records import Refused, Ttl

_NAMES = {str: "a string", dict: "an object", list: "an array", int: "an integer", bool: "a boolean", float: "a number"}
TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]+$")
_TTLS = ("30m", "12h")


def kind_name(value: object) -> str:
    """What the vendor calls the type of a JSON value."""
    return "null" if value is None else _NAMES.get(type(value), "an object")


def only(where: str, value: Mapping[str, Any], allowed: Collection[str], *, strict: bool = True) -> None:
    """Refuse unknown fields."""
    for name in value if strict else ():
        if name not in allowed:
            path = join(where, name)
            raise Refused(f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")


def need(where: str, value: Mapping[str, Any], name: str, *kinds: type) -> Any:
    """A required field of one of these types."""
    path = join(where, name)
    if name not in value:
        raise Refused(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")
    return typed(path, value[name], *kinds)


def typed(path: str, value: object, *kinds: type) -> Any:
    """The value, when it is of one of these types."""
    fits = isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)
    if not fits:
        wanted = " or ".join(_NAMES[kind] for kind in kinds)
        raise Refused(
            f"Invalid type for '{path}': expected {wanted}, but got {kind_name(value)} instead.",
            param=path,
            code="invalid_type",
        )
    return value


def one_of(path: str, value: object, allowed: Sequence[str]) -> Any:
    """The value, when it is one of these."""
    if value not in allowed:
        raise Refused(
            f"Invalid value: '{value}'. Supported values are: {listed(allowed)}.", param=path, code="invalid_value"
        )
    return value


def listed(values: Sequence[str]) -> str:
    """'a', 'b', and 'c'."""
    quoted = [f"'{value}'" for value in values]
    return " and ".join(quoted) if len(quoted) < 3 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def join(where: str, name: str) -> str:
    """Path of a field."""
    return f"{where}.{name}" if where else name


def identifier(path: str, value: object, prefix: str = "", *, limit: int = 64) -> None:
    """An id as the vendor wants it: prefix of its kind, letters, numbers, `_` and `-`, not longer than `limit`."""
    text: str = typed(path, value, str)
    if len(text) > limit:
        raise Refused(
            f"Invalid '{path}': string too long. Expected a string with maximum length {limit}, but got a string with "
            f"length {len(text)} instead.",
            param=path,
            code="string_above_max_length",
        )
    if prefix and not text.startswith(prefix):
        raise Refused(
            f"Invalid '{path}': '{text}'. Expected an ID that begins with '{prefix}'.", param=path, code="invalid_value"
        )
    if prefix and not TOOL_NAME.fullmatch(text):
        raise Refused(
            f"Invalid '{path}': '{text}'. Expected an ID that contains letters, numbers, underscores, or dashes, but "
            "this value contained additional characters.",
            param=path,
            code="invalid_value",
        )


def check_caching(request: Mapping[str, Any], facts: OpenAIFacts, options: Collection[str]) -> None:
    """B Control: prompt_cache_options from 5.6 on only; the older retention; the key is a text."""
    if request.get("prompt_cache_key") is not None:
        typed("prompt_cache_key", request["prompt_cache_key"], str)
    retention = request.get("prompt_cache_retention")
    if retention is not None:
        one_of("prompt_cache_retention", retention, ("24h",) if facts.only_24h else ("in_memory", "24h"))
    given = request.get("prompt_cache_options")
    if given is None:
        return
    if not facts.breakpoints:
        raise unsupported("prompt_cache_options")
    typed("prompt_cache_options", given, dict)
    only("prompt_cache_options", given, options)
    one_of("prompt_cache_options.mode", given.get("mode", "implicit"), ("implicit", "explicit"))
    ttls = _TTLS if "prewarm" in options else _TTLS[:1]  # openai 3.54.0: Chat Completions knows 30m only
    one_of("prompt_cache_options.ttl", given.get("ttl", "30m"), ttls)
    if "prewarm" in given:
        typed("prompt_cache_options.prewarm", given["prewarm"], bool)
    if given.get("comparison_response_id") is not None:
        typed("prompt_cache_options.comparison_response_id", given["comparison_response_id"], str)


def unsupported(path: str) -> Refused:
    """B Control: older models 400 on these; text as measured in public (LIA, ADR-309)."""
    return Refused(
        f"{path.rpartition('.')[2]} is not supported on this model.", param=path, code="unsupported_parameter"
    )


def breakpoint_of(where: str, part: Mapping[str, Any], facts: OpenAIFacts, default: Ttl) -> Ttl | None:
    """TTL of a part's prompt_cache_breakpoint; None without one."""
    given = part.get("prompt_cache_breakpoint")
    if given is None:
        return None
    path = join(where, "prompt_cache_breakpoint")
    if not facts.breakpoints:
        raise unsupported(path)
    typed(path, given, dict)
    only(path, given, {"mode", "ttl"})
    one_of(f"{path}.mode", need(path, given, "mode", str), ("explicit",))
    ttl: Ttl = one_of(f"{path}.ttl", given.get("ttl", default), _TTLS)
    return ttl


def check_function(where: str, function: Mapping[str, Any], names: set[str]) -> None:
    """Name, description, parameters and strictness of a function, in either wire's form."""
    name = need(where, function, "name", str)
    if not TOOL_NAME.fullmatch(name) or len(name) > 64:
        raise Refused(
            f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the pattern "
            f"'{TOOL_NAME.pattern}'.",
            param=f"{where}.name",
            code="invalid_value",
        )
    if function.get("description") is not None:
        typed(f"{where}.description", function["description"], str)
    schema = function.get("parameters")
    if schema is not None:
        typed(f"{where}.parameters", schema, dict)
        if schema.get("type") != "object":
            raise _bad_schema(
                where,
                name,
                f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'.",
            )
    if function.get("strict") is not None and typed(f"{where}.strict", function["strict"], bool):
        _check_strict(where, name, schema or {}, ())
    names.add(name)


def _check_strict(where: str, name: str, schema: Mapping[str, Any], context: tuple[str, ...]) -> None:
    """Structured outputs: each object lists all its properties as required and allows no others."""
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            text = f"In context={context!r}, 'additionalProperties' is required to be supplied and to be false."
            raise _bad_schema(where, name, text)
        missing = [key for key in schema.get("properties", {}) if key not in schema.get("required", ())]
        if missing:
            text = (
                f"In context={context!r}, 'required' is required to be supplied and to be an array including every key "
                f"in properties. Missing '{missing[0]}'."
            )
            raise _bad_schema(where, name, text)
    for key, inner in (schema.get("properties") or {}).items():
        if isinstance(inner, dict):
            _check_strict(where, name, inner, (*context, "properties", key))
    if isinstance(schema.get("items"), dict):
        _check_strict(where, name, schema["items"], (*context, "items"))


def _bad_schema(where: str, name: str, text: str) -> Refused:
    return Refused(
        f"Invalid schema for function '{name}': {text}", param=f"{where}.parameters", code="invalid_function_parameters"
    )


def check_effort(path: str, effort: object, facts: OpenAIFacts) -> None:
    """B: efforts of reasoning models; 6.2 rejects none and minimal."""
    if effort is not None and effort not in facts.efforts:
        raise Refused(
            f"Unsupported value: '{effort}' is not supported with the '{facts.name}' model. Supported values are: "
            f"{listed(facts.efforts)}.",
            param=path,
            code="unsupported_value",
        )


def check_image(path: str, url: object) -> None:
    """An address, or a data URL with base64 of a known kind of image."""
    text: str = typed(path, url, str)
    if text.startswith("data:"):
        head, _, data = text.partition(",")
        if not re.fullmatch(r"data:image/(png|jpeg|gif|webp);base64", head) or not re.fullmatch(
            r"[A-Za-z0-9+/]+=*", data
        ):
            raise Refused(
                "The image data you provided does not represent a valid image. Please check your input and try again "
                "with one of the following image formats: ['image/jpeg', 'image/png', 'image/gif', 'image/webp'].",
                param=path,
                code="invalid_value",
            )
    elif not text.startswith(("http://", "https://")):
        raise Refused(
            f"Invalid '{path}'. Expected a valid URL, but got a value with an invalid format.",
            param=path,
            code="invalid_value",
        )


def check_window(total: int, answer: int | None, facts: OpenAIFacts, profile: Profile, override: int | None) -> None:
    """B: 922k tokens of input. `answer`: tokens that are asked for at most, None where the request does not say."""
    window, asked = override or facts.max_input, answer or 0
    if profile.reserves and total + asked > window:
        raise Refused(
            f"This model's maximum context length is {window} tokens. However, you requested {asked} output tokens "
            f"and your prompt contains at least {total} input tokens, for a total of at least {total + asked} "
            "tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
            param="input_tokens",
        )
    if total > window and profile.too_long:
        raise Refused(profile.too_long.format(total=total, window=window), param="input")
    if total > window:
        raise Refused(
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            param="input",
            code="context_length_exceeded",
        )
