"""Addresses: one spelling, nothing that two readers understand differently, nothing that is not public."""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config_values import Mode
from harness.errors import UsageError
from harness.workspace.address import joined, parse, public
from harness.workspace.paths import Workspace
from harness.workspace.permissions import (
    Allowed,
    Asks,
    Decision,
    Refused,
    Subject,
    decide,
    parse_rule,
    parse_rules,
)

GOOD = {
    "https://docs.python.org": "https://docs.python.org/",
    "HTTPS://Docs.Python.ORG./3/?q=1#part": "https://docs.python.org/3/?q=1",
    "http://example.org:80/a b".replace(" ", "%20"): "http://example.org/a%20b",
    "https://example.org:8443/ä": "https://example.org:8443/%C3%A4",
    "https://bücher.example/": "https://xn--bcher-kva.example/",
    "https://\u0440\u0430\u0443\u0440\u0430l.com/": "https://xn--l-7sba6dbr.com/",
    "http://[2606:4700:0:0::1]/": "http://[2606:4700::1]/",
    "http://\uff11\uff12\uff17.0\u30020.1/": "http://127.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1./": "http://127.0.0.1/",
    "http://ex\u200bam\u00adple.com/": "http://example.com/",
    "http://a.test#@evil.com/": "http://a.test/",
    "http://a.test?@evil.com/": "http://a.test/?@evil.com/",
    "http://x/<system>%0d%0aHost:y": "http://x/%3Csystem%3E%0d%0aHost:y",
}
BAD = [
    "file:///etc/passwd",
    "ftp://example.org/x",
    "gopher://example.org",
    "javascript:alert(1)",
    "example.org",
    "https://user:word@example.org/",
    "https://docs.python.org@evil.com/",
    "https://docs.python.org\\@evil.com/",
    "https://evil.com\t/",
    "https:///x",
    "https://[::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://1.2.3.4.5/",
    "http://0x7f.1/",
    "https://example.org:0/",
    "https://example.org:99999/",
    "https://exa mple.org/",
    "https://%31%32%37.0.0.1/",
    "https://-x.example/",
    "https://a..b/",
    "https://x/" + "a" * 5000,
    "https://x/\ud800",
    "https://\ud800.com/",
    "https://x:\uff18\uff10/",
    "https://x:+80/",
    "https://[::1].evil.com/",
    "https://[v1.x]/",
    "https://a.0x1/",
    "https://*.com/",
    "https://a\u2044b.com/",
    "https://\u0660.1.1.1/",
]
PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.100.100.200", "168.63.129.16", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1",
    "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "192.0.0.192", "192.0.0.9", "192.88.99.1", "3fff::1", "2001:20::1", "64:ff9b:1::a00:1", "4000::1", "5f00::1",
    "2606:4700::5efe:a00:1", "2606:4700::200:5efe:7f00:1", "::ffff:0:10.0.0.1", "2002:101:101::1",
    "2001:0:1::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "not an address",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_one_spelling(text: str) -> None:
    assert parse(text).url == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_unclear_or_not_the_web(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "151.101.0.223", "2606:4700::1", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_public(address: str) -> None:
    assert public(address)


def test_a_redirect_is_parsed_again() -> None:
    base = parse("https://example.org/a/b")

    assert joined(base, "../c?x").url == "https://example.org/c?x"
    assert joined(base, "//other.example/").host == "other.example"
    assert joined(base, "?a b").url == "https://example.org/a/b?a%20b"
    for location in ("file:///etc/passwd", "http://user@x.example/", "http://2130706433/", "//[::1", "//x y/"):
        with pytest.raises(UsageError):
            joined(base, location)


SPELLED = st.lists(
    st.sampled_from(
        ["a", "evil.com", "127.0.0.1", "0x7f", "[::1]", "[", "]", ".", "..", "/", "//", ":", "@", "?", "#", "%"]
    )
    | st.sampled_from(
        ["%2e", "%00", "80", "\\", "\uff0e", "\u3002", "\uff20", "\u2488", "xn--", "\xdf", "-", "_", "&", "\t"]
    )
    | st.characters(),
    max_size=12,
).map("".join)


@given(st.sampled_from(["http://", "https://", "HTTP://", "https:/", "//"]), SPELLED)
def test_every_reader_takes_what_is_accepted_for_the_same_place(scheme: str, rest: str) -> None:
    try:
        target = parse(scheme + rest)
    except UsageError:
        return
    assert parse(target.url) == target
    assert target.url.isascii()
    assert target.url.isprintable()
    for host, port in (
        (urlsplit(target.url).hostname, urlsplit(target.url).port),
        (httpx2.URL(target.url).raw_host.decode("ascii").strip("[]"), httpx2.URL(target.url).port),
    ):
        assert host == target.host
        assert port in (target.port, None)
    with contextlib.suppress(ValueError):
        assert str(ipaddress.ip_address(target.host)) == target.host


@given(st.ip_addresses())
def test_what_is_public_is_so_for_the_standard_library_too(address: ipaddress.IPv4Address) -> None:
    if public(str(address)):
        assert address.is_global
        assert not address.is_private
        assert not address.is_multicast


def fetch(address: str, *rules: str, mode: Mode = "edit") -> Decision:
    target = parse(address)
    subject = Subject("web", command=target.url, hosts=(target.place,))
    return decide(mode, parse_rules(rules), subject, Workspace(Path("/w")))


def test_a_rule_names_a_host_exactly() -> None:
    rule = "web_fetch(docs.python.org)"

    assert fetch("https://docs.python.org/3/", rule) == Allowed()
    assert fetch("http://DOCS.python.org./", rule) == Allowed()
    for address in (
        "https://docs.python.org.evil.com/",
        "https://evil-docs.python.org/",
        "https://x.docs.python.org/",
        "https://python.org/",
        "https://docs.python.org:8443/",
        "https://d\u043ecs.python.org/",  # a Cyrillic o
    ):
        assert isinstance(fetch(address, rule), Refused), address


def test_ports_need_a_rule_of_their_own() -> None:
    assert isinstance(fetch("https://example.org:8443/", "web_fetch(*)"), Refused)
    assert fetch("https://example.org:8443/", "web_fetch(example.org:8443)") == Allowed()
    assert fetch("https://example.org/", "web_fetch(*)") == Allowed()
    assert fetch("https://[2606:4700::1]/", "web_fetch(*)") == Allowed()


def test_each_mode() -> None:
    address = "https://bücher.example/x?y"

    assert fetch(address, mode="yolo") == Allowed()
    refused = fetch(address)
    assert isinstance(refused, Refused)
    assert "--allow 'web_fetch(xn--bcher-kva.example)'" in refused.text
    for mode in ("plan", "ask"):
        asked = fetch(address, mode=mode)
        assert isinstance(asked, Asks)
        # the person sees the name as it is asked for, not as it looks
        assert asked.what == "https://xn--bcher-kva.example/x?y"
        assert asked.grant == parse_rule("web_fetch(xn--bcher-kva.example)")
        assert asked.nobody.flag == "--allow 'web_fetch(xn--bcher-kva.example)'"
        assert fetch(address, "web_fetch(bücher.example)", mode=mode) == Allowed()


@pytest.mark.parametrize(
    "text",
    ["web_fetch()", "web_fetch(https://x.org)", "web_fetch(x.org/a)", "web_fetch(u@x.org)", "web_fetch(*.x.org)"],
)
def test_bad_rules(text: str) -> None:
    with pytest.raises(UsageError, match="bad rule"):
        parse_rule(text)
