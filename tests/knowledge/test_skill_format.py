"""SKILL.md: whatever is in it, it is read or refused with a line, and nothing is built or multiplied."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.knowledge.skill_body import MAX_BYTES, fill
from harness.knowledge.skill_format import MAX_SKILL_BYTES, NAME, AllowedTool, check, parse


def document(front: str, body: str = "Do it.\n") -> bytes:
    return f"---\n{front}---\n{body}".encode()


words = st.text(st.characters(codec="utf-8"), max_size=60)
values = st.recursive(
    words | st.booleans() | st.integers() | st.none() | st.floats() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    *("name", "description", "license", "compatibility", "metadata", "allowed-tools", "user-invocable", "hooks"),
    *("disable-model-invocation", "argument-hint", "context", "model", "agent"),
)


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for content in (data, b"---\n" + data, b"---\ndescription: x\n" + data + b"\n---\nbody"):
        parsed = parse(content, "mine")
        lines = max(content.count(b"\n") + 1, 1)
        assert (parsed.manifest is None) == bool(parsed.fatal)
        assert parsed.fatal.isprintable()
        assert all(1 <= one.line <= lines for one in check(content, "mine"))


@given(st.dictionaries(st.sampled_from(KEYS), values))
def test_any_front_matter_is_read_or_refused(fields: dict[str, object]) -> None:
    data = document(yaml.safe_dump(fields, allow_unicode=True))

    parsed = parse(data, "mine")
    findings = check(data, "mine")

    assert set(parsed.findings) <= set(findings)
    if parsed.manifest is None:
        assert parsed.fatal.startswith("SKILL.md:")
        return
    manifest = parsed.manifest
    assert manifest.name == "mine"
    assert manifest.description.strip()
    for text in (manifest.description, manifest.license, manifest.argument_hint, manifest.runs_as.model):
        assert "\n" not in text
        assert all(ord(char) >= 0x20 for char in text)
    assert all(isinstance(one, str) for one in manifest.metadata.values())


@given(st.text(alphabet="ab1-_A.\n /", max_size=8))
def test_a_name_is_what_the_specification_says(name: str) -> None:
    sound = bool(name) and set(name) <= set("ab1-") and name.strip("-") == name and "--" not in name

    assert bool(NAME.fullmatch(name)) is sound


@pytest.mark.parametrize(
    ("front", "line", "level"),
    [
        ("name: mine\ndescription: x\nname: mine\n", 4, "fatal"),
        ("name: mine\ndescription: x\ndescription: y\n", 4, "fatal"),
        ("description: x\n", 1, "error"),
        ("name: other\ndescription: x\n", 2, "fatal"),
        ("name: mine\n", 1, "fatal"),
        ("name: mine\ndescription: x\nuser-invocable: perhaps\n", 4, "fatal"),
        ("name: mine\ndescription: x\ndisable-model-invocation: [true]\n", 4, "fatal"),
        (f"name: mine\ndescription: {'x' * 1025}\n", 3, "error"),
        ("name: mine\ndescription: x\ncompatibility: ''\n", 4, "error"),
        ("name: mine\ndescription: x\nlicense: [MIT]\n", 4, "error"),
        ("name: mine\ndescription: x\nmetadata: {a: {b: c}}\n", 4, "error"),
        ("name: mine\ndescription: x\nallowed-tools: {a: b}\n", 4, "error"),
        ("name: mine\ndescription: x\nallowed-tools: ''\n", 4, "warning"),
        ("name: mine\ndescription: x\ncontext: inherit\n", 4, "error"),
        ("name: mine\ndescription: x\n\n# a comment\nmodel: opus\n", 6, "warning"),
    ],
)
def test_each_fault_has_its_line(front: str, line: int, level: str) -> None:
    (found,) = check(document(front), "mine")

    assert (found.line, found.level) == (line, level)


def test_what_breaks_the_specification_only_is_used() -> None:
    parsed = parse(
        document("name: mine\ndescription: x\ncontext: inherit\nlicense: [a]\nmetadata: {a: {}, b: c}\n"), "mine"
    )

    assert parsed.manifest is not None
    assert parsed.manifest.runs_as.context == "inline"
    assert (parsed.manifest.license, parsed.manifest.metadata) == ("", {"b": "c"})


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        ("Read Grep", ["read", "grep"]),
        ("Read, Bash(git diff:*), WebFetch", ["read", "shell(git diff *)", "web_fetch"]),
        ("[Read, 'Bash(npm run test *)']", ["read", "shell(npm run test *)"]),
        ("Read Read", ["read"]),
        ("mcp__github__list", ["mcp__github__list"]),
        ("'Bash('", ["shell"]),
        ("'((((('", []),
        ("','", []),
    ],
)
def test_tools_are_read_in_every_form_they_are_written_in(text: str, tools: list[str]) -> None:
    parsed = parse(document(f"name: mine\ndescription: x\nallowed-tools: {text}\n"), "mine")

    assert parsed.manifest is not None
    assert [str(tool) for tool in parsed.manifest.runs_as.allowed_tools or ()] == tools
    assert AllowedTool("shell", "a *").pattern == "a *"


def test_the_worst_front_matter_takes_no_time_to_speak_of() -> None:
    texts = [
        "[" * 8000,
        "{a: " * 2000,
        "- " * 4000,
        "? " * 4000,
        "a: &a b\n" * 900,
        "'" * 8000,
        "|\n " * 2000,
        "%" * 8000,
    ]
    begun = time.process_time()

    for text in texts:
        assert parse(document(f"description: x\na: {text}\n"), "mine").manifest is None or text[0] in "'|"
    parse(b"---\n" + b"--\n" * 20_000)
    parse(b"---" + b" " * (MAX_SKILL_BYTES - 3))

    print(f"{time.process_time() - begun:.2f} s")


# ------------------------------------------------------------------------------------------------ filling in


@pytest.mark.parametrize(
    ("body", "numbered", "filled"),
    [
        ("Do $ARGUMENTS now.", False, "Do one 'two three' now."),
        ("$ARGUMENTS[0]/$ARGUMENTS[1]/$ARGUMENTS[7].", False, "one/two three/."),
        ("$1 and $2 and $3.", True, "one and two three and ."),
        ("awk '{print $1}' $HOME $$ $10", False, "awk '{print $1}' $HOME $$ $10"),
        ("$10 $1st", True, "$10 $1st"),
        (r"\$ARGUMENTS \$1 \${SKILL_DIR}", True, "$ARGUMENTS $1 ${SKILL_DIR}"),
        (r"\$1", False, r"\$1"),
        ("${SKILL_DIR}/a ${CLAUDE_SKILL_DIR}/b ${HOME}", False, "/s/x/a /s/x/b ${HOME}"),
        ("$ARGUMENTSX $arguments", False, "$ARGUMENTSX $arguments"),
    ],
)
def test_placeholders(body: str, numbered: bool, filled: str) -> None:
    assert fill(body, "one 'two three'", "/s/x", numbered=numbered) == filled


def test_what_was_filled_in_is_not_filled_in_again() -> None:
    assert fill("$ARGUMENTS", "$ARGUMENTS ${SKILL_DIR} $1", "/s", numbered=True) == "$ARGUMENTS ${SKILL_DIR} $1"
    assert fill("$1", "it's", "/s", numbered=True) == "it's"


@given(
    st.text(alphabet="$ARGUMENTS{}[]0129\\ x'", max_size=60), st.text(max_size=60), st.booleans(), st.integers(1, 3000)
)
def test_filling_in_stays_within_bounds(body: str, arguments: str, numbered: bool, times: int) -> None:
    filled = fill(body * times, arguments, "/s", numbered=numbered)

    assert len(filled.encode("utf-8", "replace")) <= max(MAX_BYTES, len((body * times).encode()))
