"""What looks like a credential, and what only looks so at first."""

from __future__ import annotations

import json

import pytest

from harness.workspace.credentials import Credentials

KEYS = [
    "sk-ant-api03-" + "Ab1_" * 10,
    "ghp_" + "a1" * 18,
    "github_pat_" + "a1" * 25,
    "AKIAIOSFODNN7EXAMPLE",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "xoxb-123456789012-abcdefghijk",
    "AIza" + "b" * 35,
    "postgres://someone:pa55word@db.example.org/x",
]


@pytest.mark.parametrize("key", KEYS)
def test_known_forms_are_found(key: str) -> None:
    looks = Credentials({})

    assert looks.in_text(f"it is\n{key}.")
    assert looks.in_text(json.dumps(f"it is\n{key}"))


@pytest.mark.parametrize(
    "text",
    [
        "DEPLOY_TOKEN=8f2b11c09a77e1d2",
        'password: "correct-horse-7-staple"',
        json.dumps({"api_key": "8f2b11c09a77e1d2"}),
        json.dumps(json.dumps({"client_secret": "8f2b11c09a77e1d2"})),
        "X-Api-Key: 8f2b11c09a77e1d2",
    ],
)
def test_assignments_are_found(text: str) -> None:
    assert Credentials({}).in_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "api_key = os.environ",
        "max_tokens=1234567890123",
        "token: the next token of the line",
        "OPENAI_BASE_URL=http://127.0.0.1:8000",
        "task-list-of-all-things-that-are-here",
        "password = getpass.getpass",
        "API_KEY=/run/secrets/key1",
    ],
)
def test_what_is_none_is_not_found(text: str) -> None:
    assert not Credentials({}).in_text(text)


def test_what_the_environment_hides_is_found_wherever_it_stands() -> None:
    assert Credentials({"SOME_API_KEY": "plainwordsonlyhere"}).in_text("xxplainwordsonlyherexx")
    assert not Credentials({"SOME": "plainwordsonlyhere"}).in_text("xxplainwordsonlyherexx")
