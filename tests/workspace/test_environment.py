"""What a command of the model sees of the environment."""

from __future__ import annotations

import pytest

from harness.workspace.environment import child_environment


@pytest.mark.parametrize("name", [
    "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_ORG_ID",
    "GEMINI_API_KEY",
    "GITHUB_TOKEN", "TOKEN", "NPM_TOKEN", "npm_config__authToken_TOKEN", "DB_PASSWORD", "PGPASSWORD",
    "MYSQL_PASSWORD_FILE",
    "CLIENT_SECRET", "SECRET_KEY", "DJANGO_SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "SSH_PRIVATE_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "openai_api_key", "SENTRY_DSN", "BASH_ENV", "ENV", "MINE",
])  # fmt: skip
def test_dropped(name: str) -> None:
    assert name not in child_environment({name: "x" * 20, "PATH": "/bin"}, ["MINE"])


@pytest.mark.parametrize("name", [
    "HOME", "LANG", "VIRTUAL_ENV", "PYTHONPATH", "SSH_AUTH_SOCK", "TOKENIZERS_PARALLELISM", "KEYBOARD", "PWD",
    "OLDPWD", "MONKEY", "AUTHOR", "GIT_AUTHOR_NAME", "XDG_CONFIG_HOME",
])  # fmt: skip
def test_kept(name: str) -> None:
    assert child_environment({name: "value"})[name] == "value"


def test_a_secret_under_another_name_is_dropped() -> None:
    given = {"ANTHROPIC_API_KEY": "sk-ant-0123456789", "COPY": "key=sk-ant-0123456789", "SHORT_TOKEN": "1", "N": "1"}
    assert set(given) & set(child_environment(given)) == {"N"}


def test_a_path_or_address_is_no_secret_value() -> None:
    given = {"PASSWORD_STORE_DIR": "/usr/local/bin", "PATH": "/usr/local/bin:/bin"}
    given |= {"OPENAI_BASE_URL": "http://localhost:1", "MIRROR": "http://localhost:1/x"}
    assert set(given) & set(child_environment(given)) == {"PATH", "MIRROR"}


def test_only_absolute_folders_are_searched_for_programs() -> None:
    assert child_environment({"PATH": ".:/usr/bin::bin:./x:/bin:"})["PATH"] == "/usr/bin:/bin"


def test_nothing_asks() -> None:
    found = child_environment({"TERM": "xterm", "PAGER": "less", "GIT_EDITOR": "vi"})
    assert (found["TERM"], found["PAGER"], found["GIT_EDITOR"], found["GIT_TERMINAL_PROMPT"]) == (
        "dumb",
        "cat",
        "true",
        "0",
    )
