"""`harness models`: the list, one model explained, and one line for what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.cli import run

HERE = Path(__file__).parent

OWN = """
[profiles.mine]
base_url = "https://models.example.invalid/v1"
key_env = "MINE_KEY"
headers = { "X-Secret" = "hidden" }
markers = "cache_control"
caching = "two-step"

[caching.two-step]
kind = "markers"
minimum = 2000
granularity = 64
ttls = { "1m" = 60, "1d" = 86400 }
max_markers = 2
key = "required"

[models."openai-chat/mine/large"]
aliases = ["large"]
window = 1000000
max_output = 64000
price = { input = 1, read = 0.1, write_1m = 1.25, write_1d = 2, output = 8 }
long = { above = 200000, input = 2, read = 0.2, write_1m = 2.5, write_1d = 4, output = 12 }
change.effort = { loses = "nothing", how = "safe", form = "a message" }
notes = ["a note"]

[models."openai-chat/mine/no-price"]
window = 32000
caching = "zai"
"""


@pytest.fixture(autouse=True)
def _own_catalog(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = isolation / ".config" / "harness"
    folder.mkdir(parents=True)
    (folder / "catalog.toml").write_text(OWN)
    monkeypatch.setenv("COLUMNS", "100")


def golden(name: str, shown: str) -> None:
    """Compare with a file, trailing blanks aside; REWRITE_GOLDEN=1 writes it anew."""
    path = HERE / name
    shown = "".join(line.rstrip() + "\n" for line in shown.splitlines())
    if os.environ.get("REWRITE_GOLDEN") == "1":
        path.write_text(shown)
    assert shown == path.read_text()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["models", *arguments]) == 0
    ended = capsys.readouterr()
    assert ended.err == ""
    return ended.out


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    golden("models.txt", said(capsys, "/mine/"))


def test_all_models_are_listed_uncut(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys)

    assert "…" not in shown
    for name in ("anthropic/claude-sonnet-5-5 (sonnet)", "openai/gpt-6.2-astra", "openai-chat/mine/large (large)"):
        assert name in " ".join(shown.split())


def test_a_filter_takes_aliases_too(capsys: pytest.CaptureFixture[str]) -> None:
    (kimi,) = (model for model in json.loads(said(capsys, "KIMI", "--json")) if model["aliases"])
    assert kimi["id"] == "openai-chat/moonshot/kimi-k3"


def test_the_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "mine/LARGE", "--json"))

    assert [model["id"] for model in found] == ["openai-chat/mine/large"]
    assert found[0]["price"]["writes"] == {"1m": 1.25, "1d": 2}
    assert found[0]["long"]["above"] == 200_000
    assert found[0]["changes"]["effort"] == {"loses": "nothing", "how": "safe"}


def test_what_is_not_known_is_null_and_never_zero(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = json.loads(said(capsys, "no-price", "--json"))

    assert found["price"] is None
    assert found["long"] is None


def test_one_model_explained(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "explain", "large")

    assert "hidden" not in shown
    for words in (
        "what is marked, up to 2 places, from 2,000 tokens on, in steps of 64, for 1m or 1d, key required",
        "effort nothing safe sent as a message",
        "tools tools deferred waits for the next epoch",
        "0.1250 cold, written for 1m",
        "0.2000 cold, written for 1d",
        "0.0100 warm: all of it read",
        "base_url https://models.example.invalid/v1",
        "! a note",
        "catalog.toml price.read 0.1",
    ):
        assert words in " ".join(shown.split()), words


def test_an_unknown_model_explained(capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(said(capsys, "explain", "anthropic/claude-9").split())

    assert "anthropic/claude-9 is not in the model list: safe limits are used, and its price is unknown" in shown
    assert "unknown cold unknown warm" in shown
    assert "careful default window 200000" in shown


def test_explained_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "explain", "sonnet", "--json"))

    assert found["id"] == "anthropic/claude-sonnet-5-5"
    assert found["facts"]["cache.lookback"] == ["20", "contract anthropic [pc]"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["zzz"], "harness: no model has `zzz` in its name; `harness models` lists all"),
        (["explain", "nope/x"], "harness: unknown provider `nope` in model `nope/x`"),
        (["explain"], "harness: the following arguments are required: NAME; see `harness models explain --help`"),
        (["--jso"], "harness: unrecognized arguments: --jso"),
    ],
)
def test_one_line_for_what_is_wrong(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", *arguments]) == 2
    ended = capsys.readouterr()
    assert ended.out == ""
    assert ended.err.startswith(line)
    assert ended.err.count("\n") == 1


def test_a_wrong_catalog_is_named_with_its_line(isolation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (isolation / ".config" / "harness" / "catalog.toml").write_text("\n[profile.x]\n")

    assert run(["models"]) == 2
    assert "catalog.toml:2: unknown setting `profile`; did you mean `profiles`?" in capsys.readouterr().err
