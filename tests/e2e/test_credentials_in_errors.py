"""A gateway that quotes what it was sent: nothing of how the vendor is reached is shown, journaled or exported."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from harness.simulator import Fault, Simulator
from tests.e2e.lab import Lab, Script

Start = Callable[..., Simulator]

WIRES = {
    "anthropic": ("anthropic/claude-sonnet-5-5", ""),
    "openai": ("openai/gpt-6.1-sol", "/v1"),
    "openai-chat": ("openai-chat/anything", "/v1"),
}
KEY, HEADER, TOKEN, PASSWORD = "key-0123456789abcdef", "header-fedcba987654", "token-55aa55aa55", "pa55%2Fword-of-proxy"
COOKIE = "cookie-77ff77ff77"
PROXY = f"http://somebody:{PASSWORD}@127.0.0.1:9"
SENT = {
    "key": KEY,
    "header": HEADER,
    "token": TOKEN,
    "cookie": COOKIE,
    "password": PASSWORD,
    "password as it is meant": "pa55/word-of-proxy",
    "proxy-authorization": base64.b64encode(b"somebody:pa55/word-of-proxy").decode(),
}


def environment(sim: Simulator, path: str) -> dict[str, str | None]:
    return {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": sim.url,
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"{sim.url}{path}",
        "HTTPS_PROXY": PROXY,
    }


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.refusals("a gateway refuses and quotes the request")
def test_what_a_refusal_quotes(wire: str, lab: Lab, simulator: Start) -> None:
    model, path = WIRES[wire]
    sim = simulator(Script())
    lab.config(
        f'[providers.{wire}.headers]\nx-gate = "{HEADER}"\nx-pass = "Bearer {TOKEN}"\nx-api-version = "2026-10"\n'
        f'cookie = "plain=yes; sid={COOKIE}"\n'
    )
    # what is left of a long one is cut, where the header stands
    message = f"refused: {', '.join(SENT.values())}, version 2026-10-01. ".ljust(500 - len(HEADER) + 3, ".") + HEADER
    env = environment(sim, path)

    for output in ("text", "stream-json"):
        sim.fault(Fault("status", status=400, message=message))
        ran = lab.run("-p", "hello", "--model", model, "--output-format", output, env=env)
        assert ran.code == 1
        assert "version 2026-10-01" in ran.out + ran.err
        assert "[header x-gate]" in ran.out + ran.err
        told = [
            name for name, secret in SENT.items() if secret in ran.out + ran.err or HEADER[:-4] in ran.out + ran.err
        ]
        assert told == []

    name = lab.sessions()[-1].name
    later = [lab.run(*words, env=env) for words in (("replay", name), ("sessions", "export", name), ("cache", name))]
    assert "version 2026-10-01" in later[1].out
    kept = "".join(path.read_text(errors="replace") for path in lab.state.rglob("*") if path.is_file())
    said = kept + "".join(one.out + one.err for one in later)
    assert [name for name, secret in SENT.items() if secret in said] == []


def test_a_proxy_whose_address_is_none(lab: Lab) -> None:
    lab.extra = {**lab.extra, "HTTPS_PROXY": "http://somebody:pa55/word-of-proxy@127.0.0.1:9"}

    ran = lab.process("-p", "hello")

    assert ran.code == 2
    assert ran.err.startswith("harness: HTTPS_PROXY is no address: make it http://HOST:PORT; in a password write / as ")
    assert "pa55" not in ran.err
