"""Every exception of the OpenAI SDK becomes one of ours, on both of its wires: proved by listing theirs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2
import openai
import pytest
from openai import _exceptions

from harness import errors
from harness.providers.openai_responses import NAMED
from harness.providers.openai_sdk import Named, map_error
from tests.providers.test_errors import TRANSPORT, below, offered

NOW = 1_800_000_000.0
REQUEST = httpx2.Request("POST", "https://vendor.invalid/v1/responses")
MAPPINGS: dict[str, Callable[..., errors.ProviderError]] = {
    "responses": partial(map_error, named=NAMED),
    "chat": partial(map_error, named=Named("a server", "DEEPSEEK_API_KEY", "base_url of [profiles.deepseek]")),
}

# Each class of the SDK. One that is not here fails the test: it wants a decision.
SDK: dict[str, type[errors.ProviderError]] = {
    "OpenAIError": errors.BadRequest,
    "SubjectTokenProviderError": errors.AuthFailed,
    "APIError": errors.BadRequest,
    "APIStatusError": errors.BadRequest,
    "APIResponseValidationError": errors.NotAnApi,
    "APIConnectionError": errors.Unreachable,
    "APITimeoutError": errors.Unreachable,
    "BadRequestError": errors.BadRequest,
    "AuthenticationError": errors.AuthFailed,
    "OAuthError": errors.AuthFailed,
    "PermissionDeniedError": errors.Forbidden,
    "NotFoundError": errors.UnknownModel,
    "ConflictError": errors.Overloaded,
    "UnprocessableEntityError": errors.BadRequest,
    "RateLimitError": errors.RateLimited,
    "InternalServerError": errors.Overloaded,
    "LengthFinishReasonError": errors.BadRequest,
    "ContentFilterFinishReasonError": errors.BadRequest,
    "WebSocketConnectionClosedError": errors.BadRequest,
    "WebSocketQueueFullError": errors.BadRequest,
    "_AmbiguousModuleClientUsageError": errors.BadRequest,
}


def answer(status: int, said: str = "said", code: str | None = None) -> httpx2.Response:
    body = {"error": {"message": said, "type": "an_error", "param": None, "code": code}}
    return httpx2.Response(status, json=body, request=REQUEST)


def instance(kind: type[Exception], status: int = 0) -> Exception:
    """An instance as the SDK makes it."""
    if issubclass(kind, openai.APIStatusError):
        given = 500 if issubclass(kind, openai.InternalServerError) else 401 if kind.__name__ == "OAuthError" else 400
        response = answer(status or getattr(kind, "status_code", given))
        if issubclass(kind, openai.OAuthError):
            return kind(response=response, body=response.json()["error"])
        return kind("said", response=response, body=response.json()["error"])
    if issubclass(kind, openai.APIResponseValidationError):
        return kind(answer(200), None)
    if issubclass(kind, openai.APIConnectionError):
        return kind(request=REQUEST)
    if issubclass(kind, openai.APIError):
        return kind("said", REQUEST, body=None)
    try:
        return kind("said")
    except TypeError:  # wants what only its module has
        return kind.__new__(kind, "said")


def status_error(response: httpx2.Response) -> openai.APIStatusError:
    client = openai.OpenAI(api_key="k", base_url="https://vendor.invalid/v1")
    try:
        return client._make_status_error_from_response(response)
    finally:
        client.close()


def test_no_class_of_the_sdk_is_forgotten() -> None:
    theirs = offered(openai, openai.OpenAIError) | offered(_exceptions, openai.OpenAIError)

    assert sorted(theirs) == sorted(SDK)


@pytest.mark.parametrize("wire", MAPPINGS)
@pytest.mark.parametrize("name", SDK)
def test_the_sdk(name: str, wire: str) -> None:
    kind = getattr(openai, name, None) or getattr(_exceptions, name)
    mapped = MAPPINGS[wire](instance(kind), NOW)

    assert type(mapped) is SDK[name]
    assert "\n" not in str(mapped)


def test_what_the_sdk_defines_elsewhere_follows_its_base() -> None:
    listed = {getattr(openai, name, None) or getattr(_exceptions, name): ours for name, ours in SDK.items()}
    for kind in below(openai.OpenAIError):
        base = next(one for one in kind.__mro__ if one in listed)
        assert type(map_error(instance(kind), NOW, NAMED)) is listed[base], kind


@pytest.mark.parametrize("wire", MAPPINGS)
@pytest.mark.parametrize("name", TRANSPORT)
def test_the_transport(name: str, wire: str) -> None:
    kind = getattr(httpx2, name)
    wants = inspect.signature(kind.__init__).parameters
    cause = kind("said", request=REQUEST, response=answer(500)) if "response" in wants else kind("said")
    wrapped = openai.APIConnectionError(request=REQUEST)
    wrapped.__cause__ = cause

    assert type(MAPPINGS[wire](cause, NOW)) is TRANSPORT[name]
    assert type(MAPPINGS[wire](wrapped, NOW)) is TRANSPORT[name]


GEMINI_SAYS = b'[{"error":{"code":400,"message":"a call without thought_signature","status":"INVALID_ARGUMENT"}}]'


@pytest.mark.parametrize("wire", MAPPINGS)
@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (401, answer(401).content, errors.AuthFailed, "API_KEY"),
        (402, answer(402, "Insufficient Balance").content, errors.QuotaExhausted, "Insufficient Balance"),
        (429, answer(429).content, errors.RateLimited, "said"),
        (429, answer(429, code="insufficient_quota").content, errors.QuotaExhausted, "said"),
        (400, answer(400, code="context_length_exceeded").content, errors.ContextOverflow, "window"),
        (400, answer(400, "This model's maximum context length is 9").content, errors.ContextOverflow, "window"),
        (400, GEMINI_SAYS, errors.BadRequest, "thought_signature"),
        (404, b'[{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}]', errors.UnknownModel, "such"),
        (500, answer(500, "Prompt exceeds max length").content, errors.ContextOverflow, "window"),
        (413, answer(413).content, errors.ContextOverflow, "larger"),
        (404, answer(404, code="model_not_found").content, errors.UnknownModel, "--model"),
        (404, b'{"detail":"Not Found"}', errors.UnknownModel, "Not Found"),
        (400, b'{"object":"error","message":"no template"}', errors.BadRequest, "no template"),
        (500, b"{}", errors.Overloaded, "try again"),
        (503, b"<html><title>503</title></html>", errors.Overloaded, "503"),
        (404, b"<html><title>404</title></html>", errors.NotAnApi, "page"),
        (403, b"", errors.NotAnApi, "page"),
    ],
)
def test_what_a_status_means(wire: str, status: int, body: bytes, kind: type[errors.ProviderError], says: str) -> None:
    kind_of = "text/html" if body.startswith(b"<") else "application/json"
    response = httpx2.Response(status, content=body, headers={"content-type": kind_of}, request=REQUEST)
    mapped: Any = MAPPINGS[wire](status_error(response), NOW)

    assert type(mapped) is kind
    assert says in str(mapped)
    assert mapped.status == status
    assert json.dumps(str(mapped)).count("\\n") == 0
