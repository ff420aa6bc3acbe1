"""The settings: which place wins, and that every refusal names its line."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.caches.run import policy_of
from harness.config import Config, ProviderConfig, config_dir, load, state_dir
from harness.errors import ConfigError


class Places:
    """A user file, a project file, an environment and flags."""

    def __init__(self, base: Path) -> None:
        self.root = base / "project"
        self.user = base / "home" / ".config" / "harness" / "config.toml"
        self.project = self.root / ".harness" / "config.toml"
        self.environment = {"HOME": str(base / "home")}
        for path in (self.user, self.project):
            path.parent.mkdir(parents=True)

    def load(self, **flags: object) -> Config:
        return load(self.environment, self.root, self.root, flags)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_defaults(places: Places) -> None:
    config = places.load()

    assert config == Config()
    assert config.model == "anthropic/claude-sonnet-5-5"
    assert config.permission_mode == "edit"
    assert config.sources == ()


def test_each_place_beats_the_ones_below_it(places: Places) -> None:
    places.user.write_text('model = "u/1"\neffort = "low"\n[cache]\nttl = "1h"\n[network]\nmax_retries = 1\n')
    places.project.write_text('model = "p/1"\neffort = "high"\n[cache]\nttl = "5m"\n')
    places.environment |= {"HARNESS_MODEL": "e/1", "HARNESS_EFFORT": "max"}

    config = places.load(model="f/1", effort=None)

    assert (config.model, config.effort, config.cache_ttl, config.max_retries) == ("f/1", "max", "5m", 1)
    assert config.sources == (str(places.user), ".harness/config.toml", "environment", "flags")


def test_every_setting_of_a_file(places: Places) -> None:
    places.user.write_text(
        """
model = "anthropic/claude-haiku-5"
permission_mode = "yolo"
allow = ["shell(pytest *)"]
effort = "low"
max_output_tokens = 4096

[cache]
enabled = false
ttl = "1h"

[network]
idle_timeout = 7
max_retries = 0

[tools]
shell_timeout = 1.5

[providers.anthropic]
base_url = "https://proxy.example/v1/"
api_key_env = "MY_KEY"
api_key_file = "~/key"
api_key_command = "pass show 'my key'"
headers = { X-Team = "blue" }

[providers.openai-chat]
api_key_command = ["pass", "show"]
"""
    )

    config = places.load()

    assert config == Config(
        model="anthropic/claude-haiku-5",
        permission_mode="yolo",
        allow=("shell(pytest *)",),
        effort="low",
        max_output_tokens=4096,
        cache_enabled=False,
        cache_ttl="1h",
        idle_timeout=7.0,
        max_retries=0,
        shell_timeout=1.5,
        providers={
            "anthropic": ProviderConfig(
                base_url="https://proxy.example/v1",
                api_key_env="MY_KEY",
                api_key_file=f"{places.environment['HOME']}/key",
                api_key_command=("pass", "show", "my key"),
                headers={"X-Team": "blue"},
            ),
            "openai-chat": ProviderConfig(api_key_command=("pass", "show")),
        },
        sources=(str(places.user),),
    )
    assert "blue" not in repr(config)


def test_base_urls_of_the_environment_beat_the_file_and_keep_the_rest(places: Places) -> None:
    places.user.write_text('[providers.anthropic]\nbase_url = "https://a.example"\napi_key_env = "K"\n')
    places.environment |= {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:1/",
        "OPENAI_BASE_URL": "http://127.0.0.1:2",
    }

    providers = places.load().providers

    assert providers == {
        "anthropic": ProviderConfig(base_url="http://127.0.0.1:1", api_key_env="K"),
        "openai": ProviderConfig(base_url="http://127.0.0.1:2"),
        "openai-chat": ProviderConfig(base_url="http://127.0.0.1:2"),
    }


@pytest.mark.parametrize(
    ("given", "means"), [("/etc/key", "/etc/key"), ("~/k", "/h/k"), ("keys/a", "/h/.config/harness/keys/a")]
)
def test_a_key_file_is_absolute(places: Places, given: str, means: str) -> None:
    places.environment = {"HOME": "/h", "XDG_CONFIG_HOME": str(places.user.parent.parent)}
    places.user.write_text(f'[providers.openai]\napi_key_file = "{given}"\n')

    found = places.load().providers["openai"].api_key_file

    assert found == means.replace("/h/.config/harness", str(places.user.parent))


def test_allow_adds_up_once(places: Places) -> None:
    places.user.write_text('allow = ["shell(ls)", "shell(pytest *)"]')

    assert places.load(allow=["shell(make)", "shell(ls)"]).allow == (
        "shell(ls)",
        "shell(pytest *)",
        "shell(make)",
    )


def test_an_empty_variable_is_unset(places: Places) -> None:
    places.environment |= {"HARNESS_MODEL": "", "ANTHROPIC_BASE_URL": ""}

    assert places.load() == Config()


REFUSED_ANYWHERE = {
    "unknown": ('\n\ncolour = "red"', 3, "unknown setting `colour`"),
    "unknown, near": ('modle = "x/y"', 1, "unknown setting `modle`; did you mean `model`?"),
    "unknown, in its table": (
        "[cache]\ntll = '1h'",
        2,
        "unknown setting `cache.tll`; did you mean `cache.ttl`?",
    ),
    "unknown, table forgotten": ('ttl = "1h"', 1, "unknown setting `ttl`; did you mean `cache.ttl`?"),
    "unknown table": ("[colours]\nred = 1", 1, "unknown setting `colours`"),
    "unknown empty table": ("#\n[colours]\n", 2, "unknown setting `colours`"),
    "after a long value": ('model = """\na\nb"""\n\nx = 1', 5, "unknown setting `x`"),
    "a long value itself": ('\neffort = """\na\nb"""', 2, "`effort` must be one of none, minimal"),
    "look-alike in a string": ('model = """\nx = 1\n"""\nx = 1', 4, "unknown setting `x`"),
    "wrong type": ("model = 5", 1, "`model` must be a non-empty string, not 5"),
    "empty": ('model = ""', 1, "`model` must be a non-empty string"),
    "wrong choice": ('permission_mode = "root"', 1, "must be one of plan, ask, edit, yolo, not 'root'"),
    "table as value": ("cache = true", 1, "unknown setting `cache`"),
    "bool as number": ("[network]\nmax_retries = true", 2, "`network.max_retries` must be a whole number"),
    "number as bool": ("[cache]\nenabled = 1", 2, "`cache.enabled` must be true or false"),
    "negative": ("[tools]\nshell_timeout = -1", 2, "`tools.shell_timeout` must be a number of seconds"),
    "not a number": ("[tools]\nshell_timeout = nan", 2, "`tools.shell_timeout` must be a number of seconds"),
    "zero": ("max_output_tokens = 0", 1, "a whole number from 1"),
    "dotted": ("cache.ttl = '2h'", 1, "`cache.ttl` must be one of 5m, 1h, not '2h'"),
    "bad TOML": ("\nmodel = \n", 2, "not valid TOML: "),
    "bad TOML at the end": ('\nmodel = """', 2, "not valid TOML: "),
    "twice": ('model = "a/b"\nmodel = "a/b"', 2, "not valid TOML: "),
}


@pytest.mark.parametrize("which", ["user", "project"])
@pytest.mark.parametrize(("text", "line", "says"), REFUSED_ANYWHERE.values(), ids=REFUSED_ANYWHERE)
def test_a_refusal_names_the_line(places: Places, which: str, text: str, line: int, says: str) -> None:
    path = places.user if which == "user" else places.project
    path.write_text(text)

    with pytest.raises(ConfigError) as refused:
        places.load()

    assert f"config.toml:{line}: " in str(refused.value)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


REFUSED_OF_PROVIDERS = {
    "unknown vendor": (
        "[providers.antropic]\nbase_url = 'https://x'",
        1,
        "did you mean `providers.anthropic`?",
    ),
    "unknown setting": (
        "[providers.openai]\nbaseurl = 'https://x'",
        2,
        "did you mean `providers.openai.base_url`?",
    ),
    "no table": ("providers.openai = 1", 1, "`providers.openai` must be a table"),
    "no table at all": ("providers = 1", 1, "`providers` must be a table"),
    "not an address": ("[providers.openai]\nbase_url = 'file:///etc'", 2, "must be an address"),
    "no host": ("[providers.openai]\nbase_url = 'https://'", 2, "must be an address"),
    "open quote": ('[providers.openai]\napi_key_command = "pass \'"', 2, "must be a command"),
    "header injection": (
        '[providers.openai]\nheaders = { A = "b\\r\\nC: d" }',
        2,
        "must be a table of header names",
    ),
}


@pytest.mark.parametrize(("text", "line", "says"), REFUSED_OF_PROVIDERS.values(), ids=REFUSED_OF_PROVIDERS)
def test_a_refused_provider_setting(places: Places, text: str, line: int, says: str) -> None:
    places.user.write_text(text)

    with pytest.raises(ConfigError) as refused:
        places.load()

    assert f"config.toml:{line}: " in str(refused.value)
    assert says in str(refused.value)


PROJECT_MAY_NOT = {
    "base URL": (
        '\n[providers.anthropic]\nbase_url = "https://evil.example"',
        3,
        "providers.anthropic.base_url",
    ),
    "key": ('[providers.openai]\napi_key_env = "AWS_SECRET"', 2, "providers.openai.api_key_env"),
    "key file": ('[providers.openai]\napi_key_file = "/etc/passwd"', 2, "providers.openai.api_key_file"),
    "command": ('[providers.openai]\napi_key_command = "sh -c id"', 2, "providers.openai.api_key_command"),
    "headers": ('[providers.openai]\nheaders = {A = "b"}', 2, "providers.openai.headers"),
    "inline": (
        'model = "a/b"\nproviders.openai.base_url = "https://e.example"',
        2,
        "providers.openai.base_url",
    ),
    "rules": ('model = "a/b"\nallow = ["shell(*)"]', 2, "allow"),
    "mode": ('\npermission_mode = "yolo"', 2, "permission_mode"),
    "search": ('[web]\nsearch = "ddgs"', 2, "web.search"),
    "search address": ('[web]\nsearch_url = "https://evil.test"', 2, "web.search_url"),
    "search key": ('[web]\n\nsearch_key_env = "ANTHROPIC_API_KEY"', 3, "web.search_key_env"),
    "what is kept": ('[caches.tools]\nweb_fetch = "9999d"', 1, "caches.tools"),
    "how far it is shared": ('[caches]\ntool_outputs = "global"', 2, "caches.tool_outputs"),
    "where it is kept": ('[caches]\nfolder = "/tmp/x"', 2, "caches.folder"),
}


@pytest.mark.parametrize(("text", "line", "name"), PROJECT_MAY_NOT.values(), ids=PROJECT_MAY_NOT)
def test_a_project_can_not_widen(places: Places, text: str, line: int, name: str) -> None:
    places.project.write_text(text)

    with pytest.raises(ConfigError) as refused:
        places.load()

    assert str(refused.value).startswith(f".harness/config.toml:{line}: a project file may not set `{name}`")
    assert "your own config.toml" in str(refused.value)


def test_a_project_can_not_be_looser_than_the_person(places: Places) -> None:
    places.user.write_text('permission_mode = "plan"')
    places.project.write_text('permission_mode = "edit"')

    with pytest.raises(ConfigError, match=r"to `edit`, looser than `plan`"):
        places.load()


def test_a_project_may_be_stricter_and_a_flag_still_wins(places: Places) -> None:
    places.user.write_text('permission_mode = "yolo"')
    places.project.write_text('permission_mode = "plan"')

    assert places.load().permission_mode == "plan"
    assert places.load(permission_mode="yolo").permission_mode == "yolo"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("HARNESS_PERMISSION_MODE", "root", "HARNESS_PERMISSION_MODE must be one of"),
        ("HARNESS_EFFORT", "huge", "HARNESS_EFFORT must be one of"),
        ("HARNESS_CACHE_TTL", "2h", "HARNESS_CACHE_TTL must be one of 5m, 1h"),
        ("OPENAI_BASE_URL", "localhost:8080", "OPENAI_BASE_URL must be an address"),
    ],
)
def test_a_refused_variable(places: Places, variable: str, value: str, says: str) -> None:
    places.environment[variable] = value

    with pytest.raises(ConfigError, match=says):
        places.load()


def test_a_refused_flag(places: Places) -> None:
    with pytest.raises(ConfigError, match=r"--max-output-tokens must be a whole number"):
        places.load(max_output_tokens=0)


def test_the_project_file_is_named_as_seen_from_the_working_folder(places: Places) -> None:
    places.project.write_text("x = 1")
    below = places.root / "a" / "b"
    below.mkdir(parents=True)

    with pytest.raises(ConfigError, match=r"^\.\./\.\./\.harness/config\.toml:1: "):
        load(places.environment, below, places.root, {})


def test_a_fifo_is_refused_at_once(places: Places) -> None:
    os.mkfifo(places.project)

    with pytest.raises(ConfigError, match="not a regular file"):
        places.load()


def test_a_large_file_is_refused(places: Places) -> None:
    places.project.write_bytes(b"#" * 40_000)

    with pytest.raises(ConfigError, match="larger than"):
        places.load()


def test_bytes_that_are_no_utf8(places: Places) -> None:
    places.user.write_bytes(b'\nmodel = "\xff"\n')

    with pytest.raises(ConfigError, match=r"config\.toml:2: not UTF-8"):
        places.load()


def test_deep_nesting_does_not_crash(places: Places) -> None:
    places.project.write_text("x = " + "[" * 15_000)

    with pytest.raises(ConfigError):
        places.load()


def test_byte_order_mark_and_crlf(places: Places) -> None:
    places.user.write_bytes(b'\xef\xbb\xbfmodel = "a/b"\r\neffort = "low"\r\n')

    assert places.load() == replace(Config(), model="a/b", effort="low", sources=(str(places.user),))


def test_folders(tmp_path: Path) -> None:
    home = {"HOME": "/h"}

    assert config_dir(home) == Path("/h/.config/harness")
    assert state_dir(home) == Path("/h/.local/state/harness")
    assert config_dir({**home, "XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "harness"
    assert state_dir({**home, "XDG_STATE_HOME": "relative/is/ignored"}) == Path("/h/.local/state/harness")
    with pytest.raises(ConfigError, match="HOME"):
        config_dir({})


def test_web_and_caches(places: Places) -> None:
    places.user.write_text(
        '[web]\nsearch = "brave"\nsearch_key_file = "key"\n[caches]\ntool_outputs = "session"\nstale_if_error = "off"\n'
        '[caches.tools]\n"web_fetch:docs.python.org" = "1d"\nweb_fetch = "30m"\nweb_search = "off"\ngrep = "1h"\n'
        '"web_fetch:[2001:db8::1]:8443" = "2d"\n"web_fetch:a.test:4430" = "5s"\n"web_search:brave" = "1m"\n'
        '"web_fetch:8.8.8.8:65535" = "6s"\n'
    )
    config = places.load()

    assert config.web_search_key_file == str(places.user.parent / "key")
    assert (config.caches_tool_outputs, config.caches_stale) == ("session", 0.0)
    assert policy_of(config).scope == "session"
    assert policy_of(Config()).scope == "user"
    assert policy_of(Config(caches_responses="user", caches_tool_outputs="user")).scope == "user"
    assert policy_of(Config(caches_responses="user")).scope == "off"
    assert config.caches_tiers == {
        "web_fetch:docs.python.org": 86_400.0,
        "web_fetch": 1_800.0,
        "web_search": 0.0,
        "grep": 3_600.0,
        "web_fetch:[2001:db8::1]:8443": 2 * 86_400.0,
        "web_fetch:a.test:4430": 5.0,
        "web_fetch:8.8.8.8:65535": 6.0,
        "web_search:brave": 60.0,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[caches.tools]\nshell = "1h"', "a table of web_fetch, web_search, read, grep"),
        ('[caches.tools]\n"read:x" = "1h"', "a table of web_fetch, web_search, read, grep"),
        ('[caches.tools]\n"web_fetch:Docs.Python.org" = "1h"', "one host, as web_fetch shows it"),
        ('[caches.tools]\n"web_fetch:*.python.org" = "1h"', "one host, as web_fetch shows it"),
        ('[caches.tools]\n"web_fetch:b\u00fccher.example" = "1h"', "punycode"),
        ('[caches.tools]\n"web_fetch:https://a.test" = "1h"', "one host, as web_fetch shows it"),
        ('[caches.tools]\n"web_fetch:a.test:443" = "1h"', "a port where it is not 80 or 443"),
        ('[caches.tools]\n"web_fetch:[0:0::1]" = "1h"', "IP addresses in their usual form"),
        ('[caches.tools]\n"web_fetch:[1:::2]" = "1h"', "IP addresses in their usual form"),
        ('[caches.tools]\n"web_fetch:1.2.3" = "1h"', "IP addresses in their usual form"),
        ('[caches.tools]\n"web_fetch:a.0x7f" = "1h"', "IP addresses in their usual form"),
        ('[caches.tools]\n"web_fetch:1.2.3.04" = "1h"', "IP addresses in their usual form"),
        ('[caches.tools]\n"web_fetch:a.test:99999" = "1h"', "one host, as web_fetch shows it"),
        ('[caches.tools]\n"web_fetch:" = "1h"', "one host, as web_fetch shows it"),
        ('[caches.tools]\n"web_search:google" = "1h"', "one of searxng, brave, tavily, ddgs"),
        # kept, and never served: `responses = "off"` is meant
        ('[caches]\nresponses_ttl = "off"', "`caches.responses_ttl` must be a time such as"),
        ('[caches]\ntool_outputs = "everywhere"', "one of run, session, user, global, off"),
        ('[caches]\nscope = "user"', "unknown setting `caches.scope`"),
        ('[caches.tools]\nweb_fetch = "1w"', "`web_fetch` is a time such as"),
        ("[caches.tools]\nweb_fetch = 3600", "`web_fetch` is a time such as"),
        ("[caches]\ntools = 1", "a table such as"),
        ('[web]\nsearch = "google"', "one of searxng, brave, tavily, ddgs"),
        ('[web]\nsearch_url = "https://u:p@x.test"', "no user and password"),
    ],
)
def test_web_and_caches_that_make_no_sense(places: Places, text: str, told: str) -> None:
    places.user.write_text(text)

    with pytest.raises(ConfigError, match=told):
        places.load()
