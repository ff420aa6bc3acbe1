"""Every exception of the SDK and of its transport becomes one of ours: proved by listing theirs."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import anthropic
import httpx2
import pytest
from anthropic import _exceptions

from harness import errors
from harness.providers.anthropic import map_error
from harness.providers.keys import find_key
from harness.providers.retry import RetryPolicy

NOW = 1_800_000_000.0
REQUEST = httpx2.Request("POST", "https://vendor.invalid/v1/messages")

# Each class that `import anthropic` offers. One that is not here fails the test: it wants a decision.
SDK: dict[str, type[errors.ProviderError]] = {
    "AnthropicError": errors.BadRequest,
    "APIError": errors.BadRequest,
    "APIStatusError": errors.BadRequest,
    "APIResponseValidationError": errors.NotAnApi,
    "APIWebhookValidationError": errors.NotAnApi,
    "APIConnectionError": errors.Unreachable,
    "APITimeoutError": errors.Unreachable,
    "BadRequestError": errors.BadRequest,
    "AuthenticationError": errors.AuthFailed,
    "PaymentRequiredError": errors.QuotaExhausted,
    "PermissionDeniedError": errors.Forbidden,
    "NotFoundError": errors.UnknownModel,
    "RequestTimeoutError": errors.Overloaded,
    "ConflictError": errors.Overloaded,
    "PreconditionFailedError": errors.BadRequest,
    "ContentTooLargeError": errors.ContextOverflow,
    "RequestTooLargeError": errors.ContextOverflow,
    "UnprocessableEntityError": errors.BadRequest,
    "RateLimitError": errors.RateLimited,
    "RequestHeaderFieldsTooLargeError": errors.BadRequest,
    "ClientClosedRequestError": errors.BadRequest,
    "InternalServerError": errors.Overloaded,
    "HTTPNotImplementedError": errors.Overloaded,
    "ServiceUnavailableError": errors.Overloaded,
    "GatewayTimeoutError": errors.Overloaded,
    "DeadlineExceededError": errors.Overloaded,
    "OverloadedError": errors.Overloaded,
    "RetryableError": errors.Overloaded,
    "CredentialsError": errors.AuthFailed,
    "IdentityTokenFileError": errors.AuthFailed,
    "WorkloadIdentityError": errors.AuthFailed,
    "RampLimitExceededError": errors.RateLimited,
    "EnforcedSpendLimitReachedError": errors.QuotaExhausted,
    "ContractSpendLimitReachedError": errors.QuotaExhausted,
    "LinkedOrganizationSpendLimitReachedError": errors.QuotaExhausted,
    "LinkedOrganizationBillingUnavailableError": errors.QuotaExhausted,
    "OrganizationOnHoldError": errors.BadRequest,
    "OrganizationTypeNotSupportedError": errors.BadRequest,
    "ParentOrganizationRequiredError": errors.BadRequest,
    "ClaudeCodeVersionTooOldError": errors.BadRequest,
    "ClaudeCodeKeyCreatorNotMemberError": errors.BadRequest,
    "SandboxEgressRestrictedError": errors.Forbidden,
    "CMEKKeyDisabledError": errors.BadRequest,
    "CMEKKeyNetworkBlockedError": errors.BadRequest,
    "CMEKKeyUnreachableError": errors.Overloaded,
    "CMEKContextUnavailableError": errors.Overloaded,
    "RequestBodyEncodingInvalidError": errors.BadRequest,
    "RequestBodyEncodingUnsupportedError": errors.BadRequest,
    "RequestBodyTooLargeAfterDecodingError": errors.ContextOverflow,
}

TRANSPORT: dict[str, type[errors.ProviderError]] = {
    "HTTPError": errors.Unreachable,
    "RequestError": errors.Unreachable,
    "TransportError": errors.Unreachable,
    "TimeoutException": errors.Unreachable,
    "ConnectTimeout": errors.Unreachable,
    "ReadTimeout": errors.Unreachable,
    "WriteTimeout": errors.Unreachable,
    "PoolTimeout": errors.Unreachable,
    "NetworkError": errors.Unreachable,
    "ReadError": errors.Unreachable,
    "WriteError": errors.Unreachable,
    "ConnectError": errors.Unreachable,
    "CloseError": errors.Unreachable,
    "ProxyError": errors.Unreachable,
    "UnsupportedProtocol": errors.NotAnApi,
    "ProtocolError": errors.Unreachable,
    "LocalProtocolError": errors.BadRequest,
    "RemoteProtocolError": errors.Unreachable,
    "SSEError": errors.Unreachable,
    "DecodingError": errors.Unreachable,
    "TooManyRedirects": errors.NotAnApi,
    "HTTPStatusError": errors.Unreachable,
}


def offered(module: object, base: type[Exception]) -> dict[str, type[Exception]]:
    """The exception classes of a module, by the names it gives them."""
    found = {name: getattr(module, name) for name in dir(module)}
    return {name: one for name, one in found.items() if inspect.isclass(one) and issubclass(one, base)}


def below(base: type[Exception]) -> Iterator[type[Exception]]:
    for one in base.__subclasses__():
        yield one
        yield from below(one)


def response(status: int, code: str = "", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"type": "error", "error": {"type": "an_error", "message": "said", "details": {"error_code": code}}}
    return httpx2.Response(status, json=body, headers=named, request=REQUEST)


def status_of(kind: type[Exception]) -> int:
    given = getattr(kind, "status_code", None)
    return given if isinstance(given, int) else 500 if issubclass(kind, anthropic.InternalServerError) else 400


def instance(kind: type[Exception]) -> Exception:
    """An instance as the SDK makes it."""
    if issubclass(kind, anthropic.APIStatusError):
        # a class for one code declares it: `error_code: Literal["..."]`
        code = re.search(r"Literal\['(.+)'\]", str(kind.__annotations__.get("error_code", "")))
        answer = response(status_of(kind), code[1] if code else "")
        return kind("said", response=answer, body=answer.json())
    if issubclass(kind, anthropic.APIResponseValidationError):
        return kind(response(200), None)
    if issubclass(kind, anthropic.APIConnectionError):
        return kind(request=REQUEST)
    if issubclass(kind, anthropic.APIError):
        return kind("said", REQUEST, body=None)
    if issubclass(kind, httpx2.HTTPStatusError):
        return kind("said", request=REQUEST, response=response(500))
    try:
        return kind("said")
    except TypeError:  # wants what only its module has
        return kind.__new__(kind, "said")


def test_no_class_of_the_sdk_is_forgotten() -> None:
    theirs = offered(anthropic, anthropic.AnthropicError) | offered(_exceptions, anthropic.AnthropicError)

    assert sorted(theirs) == sorted(SDK)


@pytest.mark.parametrize("name", SDK)
def test_the_sdk(name: str) -> None:
    kind = getattr(anthropic, name, None) or getattr(_exceptions, name)
    mapped = map_error(instance(kind), NOW)

    assert type(mapped) is SDK[name]
    assert "\n" not in str(mapped)


def test_what_the_sdk_defines_elsewhere_follows_its_base() -> None:
    for module in pkgutil.walk_packages(anthropic.types.__path__, "anthropic.types."):
        if module.name.endswith("_error"):
            importlib.import_module(module.name)
    listed = {getattr(anthropic, name, None) or getattr(_exceptions, name): ours for name, ours in SDK.items()}
    others = [kind for kind in below(anthropic.AnthropicError) if kind not in listed]

    assert len(others) > 20
    for kind in others:
        base = next(one for one in kind.__mro__ if one in listed)
        assert type(map_error(instance(kind), NOW)) is listed[base], kind


def test_no_class_of_the_transport_is_forgotten() -> None:
    assert sorted(offered(httpx2, httpx2.HTTPError)) == sorted(TRANSPORT)


@pytest.mark.parametrize("name", TRANSPORT)
def test_the_transport(name: str) -> None:
    cause = instance(getattr(httpx2, name))
    wrapped = anthropic.APIConnectionError(request=REQUEST)
    wrapped.__cause__ = cause

    assert type(map_error(cause, NOW)) is TRANSPORT[name]
    assert type(map_error(wrapped, NOW)) is TRANSPORT[name]


@pytest.mark.parametrize(
    ("cause", "kind", "says"),
    [
        (ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED"), errors.TlsFailed, "SSL_CERT_FILE"),
        (ssl.SSLEOFError(8, "EOF"), errors.TlsFailed, "TLS"),
        (socket.gaierror(-2, "Name or service not known"), errors.Unreachable, "DNS"),
        (ConnectionRefusedError(111, "Connection refused"), errors.Unreachable, "refused"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "no"), errors.BadRequest, "headers"),
        (OSError(24, "Too many open files"), errors.Unreachable, "OSError"),
    ],
)
def test_what_is_behind_a_connection_error(cause: Exception, kind: type[Exception], says: str) -> None:
    middle = httpx2.ConnectError("All connection attempts failed")
    middle.__context__ = cause
    error = anthropic.APIConnectionError(request=REQUEST)
    error.__cause__ = middle
    mapped = map_error(error, NOW)

    assert type(mapped) is kind
    assert says in str(mapped)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "2.5"}, 2.5),
        ({"retry_after_ms": "250", "retry_after": "1"}, 0.25),
        ({"retry_after": format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True)}, 90.0),
        ({"retry_after": format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True)}, 0.0),
        ({"retry_after": "99999999999"}, 99999999999.0),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
    ],
)
def test_how_long_the_vendor_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    answer = response(429, **headers)
    mapped = map_error(anthropic.RateLimitError("slow", response=answer, body=answer.json()), NOW)

    assert mapped.retry_after == seconds


def test_spent_credits_are_no_wrong_request() -> None:
    # as the API says it: github.com/anthropics/claude-code/issues/88711
    said = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    answer = httpx2.Response(400, json=body, request=REQUEST)

    mapped = map_error(anthropic.BadRequestError("no", response=answer, body=body), NOW)

    assert type(mapped) is errors.QuotaExhausted
    assert str(mapped) == f"400: billing: {said.removesuffix('.')}"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_final_errors_are_not_tried_again(status: int) -> None:
    answer = response(status)
    mapped = map_error(anthropic.APIStatusError("no", response=answer, body=answer.json()), NOW)

    assert RetryPolicy().wait(1, mapped, 0.5) is None


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_temporary_errors_are(status: int) -> None:
    answer = response(status)
    mapped = map_error(anthropic.APIStatusError("later", response=answer, body=answer.json()), NOW)

    assert RetryPolicy().wait(1, mapped, 0.5) is not None


def test_a_wait_is_never_shorter_than_asked_and_never_the_same() -> None:
    policy = RetryPolicy()
    for asked in (0.0, 0.01, 1.0, 60.0, 299.0):
        waits = [policy.wait(1, errors.RateLimited("", retry_after=asked), at / 20) for at in range(20)]
        known = [wait for wait in waits if wait is not None]
        assert min(known) >= asked
        assert len(set(known)) == 20


def test_waits_grow_without_end_of_patience() -> None:
    policy = RetryPolicy(retries=20)
    waits = [policy.wait(attempt, errors.Overloaded(""), 0.0) or 0 for attempt in range(1, 12)]

    assert waits == sorted(waits)
    assert waits[0] == 0.5
    assert waits[-1] == policy.longest


def test_a_vendor_that_asks_for_no_wait_is_not_hammered() -> None:
    policy = RetryPolicy()
    waits = [policy.wait(attempt, errors.Overloaded("", retry_after=0.0), 0.0) or 0 for attempt in range(1, 6)]

    assert sum(waits) > 10


def test_the_end_of_retries_and_of_patience() -> None:
    policy = RetryPolicy(retries=2)

    assert policy.wait(2, errors.Overloaded(""), 0.0) is not None
    assert policy.wait(3, errors.Overloaded(""), 0.0) is None
    assert policy.wait(1, errors.RateLimited("", retry_after=policy.patience + 1), 0.0) is None
    assert policy.wait(1, errors.RateLimited("", retry_after=float("inf")), 0.0) is None


@pytest.mark.parametrize("key", ["sk ant", "sk\nant", "ключ", "sk\x00ant"])
def test_what_cannot_be_a_key(key: str) -> None:
    with pytest.raises(errors.ConfigError, match="ANTHROPIC_API_KEY gives is no API key") as caught:
        find_key("anthropic", "ANTHROPIC_API_KEY", {"ANTHROPIC_API_KEY": key})

    assert key not in str(caught.value)
