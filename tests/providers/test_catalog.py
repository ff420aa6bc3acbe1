"""What is known of models: layers, names, careful defaults, the person's own file, and how the table is made."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.errors import ConfigError, UsageError
from harness.providers import catalog_file
from harness.providers.catalog import Catalog, find, models
from harness.providers.facts import Change, Model
from harness.simulator.models import MODELS as ANTHROPIC_AS_SIMULATED
from harness.simulator.openai_models import OPENAI_MODELS as OPENAI_AS_SIMULATED

ROOT = Path(__file__).resolve().parents[2]
PROVIDERS = ROOT / "harness" / "providers"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "settings"


def own(folder: Path, text: str) -> Catalog:
    folder.mkdir(exist_ok=True)
    (folder / "catalog.toml").write_text(text)
    return Catalog.load(folder)


# ------------------------------------------------------------------------------------------- the bundled tables


@pytest.mark.parametrize("name", ["catalog.toml", "facts.toml"])
def test_the_bundled_tables_have_the_form(name: str) -> None:
    text = (PROVIDERS / name).read_text()

    catalog_file.check(name, text, tomllib.loads(text), catalog_file.BUNDLED)


def test_every_source_key_is_explained() -> None:
    tables = [tomllib.loads((PROVIDERS / name).read_text()) for name in ("catalog.toml", "facts.toml")]
    known = {key for table in tables for key in table["sources"]}

    cited = {
        key
        for table in tables
        for part in ("models", "families", "caching", "changes", "profiles")
        for row in table.get(part, {}).values()
        for key in row.get("source", ())
    }

    assert cited <= known


def test_every_row_is_a_model_with_a_price_and_a_contract() -> None:
    found = models()

    assert len({model.id for model in found}) == len(found) > 50
    for model in found:
        assert model.known, model.id
        assert model.price is not None, model.id
        assert model.price.read <= model.price.input <= model.price.output, model.id
        assert 0 < model.max_input <= model.window, model.id
        assert model.caching.kind != "none", model.id
        # a write that the contract has no TTL for would never be billed
        assert {ttl for ttl, _ in model.price.writes} <= set(dict(model.caching.ttls)), model.id
        if model.long:
            assert model.long.input > model.price.input, model.id


def test_every_name_is_found_again() -> None:
    for model in models():
        assert find(model.id) == model
        for alias in model.aliases:
            assert find(alias) == model


# As the vendors' pages and public copies of them said on 2026-11-22: in, shortest write, longest write, read, out.
PUBLISHED: dict[str, tuple[float, ...]] = {
    "anthropic/claude-fable-5-2": (8, 10, 16, 0.20, 40),
    "anthropic/claude-fable-5-1": (10, 12.5, 20, 0.25, 50),
    "anthropic/claude-fable-5": (10, 12.5, 20, 1.00, 50),
    "anthropic/claude-opus-5-5": (4, 5, 8, 0.20, 20),
    **{f"anthropic/claude-opus-{v}": (5, 6.25, 10, 0.50, 25) for v in ("5", "4-8", "4-7", "4-6", "4-5")},
    "anthropic/claude-sonnet-5-5": (2, 2.5, 4, 0.10, 10),
    "anthropic/claude-sonnet-5": (2, 2.5, 4, 0.20, 10),
    **{f"anthropic/claude-sonnet-{v}": (3, 3.75, 6, 0.30, 15) for v in ("4-6", "4-5")},
    "anthropic/claude-haiku-5-5": (0.10, 0.125, 0.20, 0.01, 0.50),
    "anthropic/claude-haiku-4-5": (1, 1.25, 2, 0.10, 5),
    # writes for 12h: 2.5 times the input
    "openai/gpt-6.2-astra": (8, 10, 20, 0.40, 40),
    "openai/gpt-6.2-sol": (2, 2.5, 5, 0.10, 10),
    "openai/gpt-6.1-sol": (2, 2.5, 5, 0.10, 10),
    "openai/gpt-6.1-terra": (1, 1.25, 2.5, 0.05, 5),
    "openai/gpt-6-astra": (10, 12.5, 25, 1, 50),
    "openai/gpt-6-sol": (2, 2.5, 5, 0.20, 10),
    "openai/gpt-6-luna": (0.10, 0.125, 0.25, 0.01, 0.50),
    "openai/gpt-5.6-sol": (4, 5, 10, 0.4, 20),
    "openai/gpt-5.6-terra": (2, 2.5, 5, 0.2, 12),
    "openai/gpt-5.6-luna": (0.2, 0.25, 0.5, 0.02, 1.2),
    "openai/gpt-5.5": (5, 5, 5, 0.5, 30),
    "openai/gpt-5.4": (2.5, 2.5, 2.5, 0.25, 15),
    "openai-chat/deepseek/deepseek-v4-pro": (1.32, 1.32, 1.32, 0.044, 3.96),
    "openai-chat/deepseek/deepseek-v4-flash": (0.30, 0.30, 0.30, 0.006, 1.20),
    "openai-chat/moonshot/kimi-k3": (3, 3, 6, 0.3, 15),
    "openai-chat/moonshot/kimi-k3.1-pro": (2, 2, 4, 0.20, 10),
    "openai-chat/zai/glm-5.3": (1.40, 1.40, 1.40, 0.26, 4.40),
    "openai-chat/xai/grok-4.7": (2, 2, 2, 0.50, 6),
    "openai-chat/xai/grok-4.3": (1.25, 1.25, 1.25, 0.20, 2.5),
    "openai-chat/gemini/gemini-4-argon": (2, 2, 2, 0.10, 10),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_prices_are_the_published_ones(name: str) -> None:
    price = find(name).price

    assert price is not None
    assert (price.input, price.write_short, price.write_long, price.read, price.output) == PUBLISHED[name]


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("openai/")])
def test_above_272k_input_costs_twice_and_output_half_as_much_again(name: str) -> None:
    model = find(name)
    price, long = model.price, model.long

    assert price is not None
    assert long is not None
    assert model.long_above == 272_000
    twice = (2 * price.input, 2 * price.read, 2 * price.write_short, 2 * price.write_long, 1.5 * price.output)
    assert (long.input, long.read, long.write_short, long.write_long, long.output) == pytest.approx(twice)


WINDOWS: dict[str, tuple[int, int, int]] = {
    # window, of it the prompt's, output; litellm has Haiku's of 4.5 for all of 4.5
    name: (200_000, 200_000, 64_000)
    if name.endswith("-4-5")
    else (1_000_000, 1_000_000, 128_000)
    if name.startswith("anthropic/")
    else (1_050_000, 922_000, 128_000)
    for name in PUBLISHED
    if name.startswith(("anthropic/", "openai/gpt-6", "openai/gpt-5.6"))
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_the_published_ones(name: str) -> None:
    model = find(name)

    assert (model.window, model.max_input, model.max_output) == WINDOWS[name]


def told(model: Model) -> tuple[Any, ...]:
    safe = model.change("effort").how == "safe"
    strips, binds = model.rules.strips_thinking, model.binds_thinking
    return model.rules.minimum, model.max_input, model.max_output, model.efforts, strips, binds, safe


@pytest.mark.parametrize("name", ANTHROPIC_AS_SIMULATED)
def test_the_pretend_vendor_was_told_the_same_of_anthropics_models(name: str) -> None:
    """Two tables of the same pages, that share nothing: where one is wrong, the other tells."""
    known = ANTHROPIC_AS_SIMULATED[name]
    its = (known.context_window, known.max_output, known.efforts, known.strips_thinking, known.binds_thinking)

    assert told(find(f"anthropic/{name}")) == (known.min_cacheable, *its, known.effort_messages)


@pytest.mark.parametrize("name", OPENAI_AS_SIMULATED)
def test_the_pretend_vendor_was_told_the_same_of_openais_models(name: str) -> None:
    known = OPENAI_AS_SIMULATED[name]

    assert told(find(f"openai/{name}"))[:4] == (known.min_cacheable, known.max_input, known.max_output, known.efforts)


def test_the_price_is_that_of_the_day(folder: Path) -> None:
    """A list that says what will hold says from when; the day is UTC's."""
    after = dt.datetime(2026, 12, 1, tzinfo=dt.UTC).timestamp()
    before = after - 1
    model = find("openai-chat/gemini/gemini-4-argon")
    first, then = model.on(before), model.on(after)

    assert first.price == model.price
    assert then.price is not None
    assert (then.price.input, then.price.read, then.price.output) == (4, 0.2, 20)
    assert then.on(after) == then
    assert find("sonnet").on(after) == find("sonnet")
    text = '[models."anthropic/claude-sonnet-5-5"]\nlater."2026-12-01" = { input = 3, write_5m = 4, output = 12 }\n'
    mine = own(folder, text).find("sonnet").on(after).price
    assert mine is not None
    assert (mine.input, mine.read, mine.write_short, mine.output) == (3, 3, 4, 12)


@pytest.mark.parametrize("at", [1e300, -1e300, float("nan")])
def test_a_day_that_is_none_has_a_price(at: float) -> None:
    """As the journal of a damaged or foreign session may have it."""
    model = find("openai-chat/gemini/gemini-4-argon")

    assert model.on(at).price in (model.price, model.later[0][1])
    assert find("sonnet").on(at) == find("sonnet")


def test_a_price_of_the_person_holds_on_later_days_too(folder: Path) -> None:
    name = "openai-chat/gemini/gemini-4-argon"
    mine = own(folder, f'[models."{name}"]\nprice = {{ input = 1, output = 5 }}\n').find(name)
    tiers = own(folder, f'[models."{name}"]\nlong = {{ above = 9, input = 1, output = 5 }}\n').find(name)
    both = f'[models."{name}"]\nprice = {{ input = 1, output = 5 }}\nlater."2027-03-01" = {{ input = 2, output = 6 }}\n'

    assert mine.later == tiers.later == ()
    assert [day.isoformat() for day, _ in own(folder, both).find(name).later] == ["2027-03-01"]


@pytest.mark.parametrize(
    ("name", "last", "inputs", "outputs"),
    [("haiku", 100_000, (0.1, 0.5), (0.5, 2.5)), ("gpt-6.1-sol", 272_000, (2, 4), (10, 15))],
)
def test_a_long_prompt_has_its_own_price(
    name: str, last: int, inputs: tuple[float, float], outputs: tuple[float, float]
) -> None:
    model = find(name)

    prices = [model.price_for(last), model.price_for(last + 1)]

    assert tuple(price.input for price in prices if price) == inputs
    assert tuple(price.output for price in prices if price) == outputs


@pytest.mark.parametrize(
    ("name", "minimum"),
    [("fable-5-2", 512), ("opus-4-8", 1024), ("opus-4-7", 2048), ("opus-4-6", 4096), ("haiku-4-5", 4096)],
)
def test_minimums(name: str, minimum: int) -> None:
    assert find(f"claude-{name}").rules.minimum == minimum


def test_each_contract_gives_the_rules_of_its_markers() -> None:
    assert find("sonnet").rules.max_markers == 4
    assert find("gpt-5.5").rules.max_markers == 0
    assert find("gpt-6.1-sol").rules.max_markers == 4
    assert find("openai-chat/openai/gpt-6.1-sol").rules.max_markers == 4
    assert find("deepseek").rules.max_markers == 0
    assert find("claude-sonnet-4-5").rules.strips_thinking
    assert find("gpt-6.1-sol").caching.seconds() == 1800
    assert find("gpt-6.1-sol").caching.seconds("12h") == 43200


def test_settings_that_break_a_cache_are_known() -> None:
    assert find("sonnet").change("effort").how == "safe"
    assert find("claude-opus-4-8").change("effort") == Change("effort", "messages", "confirmed")
    assert find("gpt-6.1-sol").change("tool_choice").form.startswith('{"type":"allowed_tools"')
    assert find("openai-chat/openai/gpt-6.1-sol").change("effort").how == "confirmed"
    assert find("deepseek").change("something new") == Change("something new", "tools", "confirmed")


# ------------------------------------------------------------------------------------------------------- names


def test_names_on_the_chat_wire() -> None:
    def parts(name: str) -> tuple[str | None, str, str]:
        model = find(name)
        return (model.profile.name if model.profile else None, model.name, model.id)

    assert parts("openai-chat/ollama/qwen3:8b") == ("ollama", "qwen3:8b", "openai-chat/ollama/qwen3:8b")
    assert parts("openai-chat/my-model") == ("generic", "my-model", "openai-chat/generic/my-model")
    assert parts("openai-chat/org/model") == ("generic", "org/model", "openai-chat/generic/org/model")
    assert parts("openai-chat/generic/deepseek/x") == ("generic", "deepseek/x", "openai-chat/generic/deepseek/x")
    assert parts("openai-chat/deepseek") == ("generic", "deepseek", "openai-chat/generic/deepseek")
    assert parts("openai/gpt-6.1-sol") == (None, "gpt-6.1-sol", "openai/gpt-6.1-sol")


def test_the_three_wires() -> None:
    assert [find(name).wire for name in ("opus", "gpt", "glm")] == ["anthropic", "openai-responses", "openai-chat"]


def test_a_dated_name_has_the_facts_of_the_undated_one() -> None:
    dated, plain = find("claude-haiku-4-5-20251001"), find("claude-haiku-4-5")

    assert (dated.name, dated.known, dated.price) == ("claude-haiku-4-5-20251001", True, plain.price)
    assert find("openai/gpt-5.4-2026-03-05").long == find("openai/gpt-5.4").long


def test_openrouter_has_its_vendors_contract_and_its_own_price() -> None:
    model = find("openai-chat/openrouter/openai/gpt-6.1-sol")

    assert (model.max_input, model.caching.kind, model.caching.ttls) == (922_000, "markers", (("30m", 1800),))
    assert model.aliases == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nope/model", "unknown provider `nope`.*anthropic, openai, openai-chat$"),
        ("deepseek/deepseek-v4-pro", "did you mean openai-chat/deepseek/deepseek-v4-pro"),
        ("openai-chat/", "names no model"),
        ("openai-chat/ollama/", "names no model"),
        ("anthropic/", "names no model"),
    ],
)
def test_what_names_no_model(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find(text)


@pytest.mark.parametrize(
    ("name", "contract", "minimum"),
    [
        ("anthropic/claude-9", "anthropic", 4096),
        ("openai/gpt-9", "openai-automatic", 1024),
        ("gpt-9", "openai-automatic", 1024),
        ("claude-9", "anthropic", 4096),
        ("openai-chat/vllm/some", "vllm", 16),
        ("openai-chat/some", "unknown", 0),
        ("openai-chat/openrouter/some/model", "unknown", 0),
    ],
)
def test_an_unknown_model_gets_careful_defaults_and_no_price(name: str, contract: str, minimum: int) -> None:
    model = find(name)

    assert (model.known, model.price, model.long) == (False, None, None)
    assert (model.caching.name, model.caching.minimum) == (contract, minimum)
    assert model.price_for(10**6) is None
    assert model.max_output == 8192


# -------------------------------------------------------------------------------------------- the person's own


def test_without_a_file_the_bundled_tables_hold(folder: Path) -> None:
    assert Catalog.load(folder).models() == models()


def test_a_file_overrides_what_it_names_and_nothing_else(folder: Path) -> None:
    catalog = own(
        folder,
        """
        [aliases]
        fast = "anthropic/claude-haiku-5-5"
        sonnet = "openai/gpt-6.1-sol"

        [models."anthropic/claude-opus-5-5"]
        price.input = 3
        cache = { minimum = 1024, refresh = "hit" }

        [caching.openai-breakpoints]
        lookback = 80
        key = "optional"
        """,
    )

    opus = catalog.find("opus")
    assert opus.price is not None
    assert (opus.price.input, opus.price.read, opus.rules.minimum, opus.rules.refresh) == (3, 0.20, 1024, "hit")
    assert catalog.find("fast").name == "claude-haiku-5-5"
    assert catalog.find("sonnet").provider == "openai"
    assert (catalog.find("gpt").caching.lookback, catalog.find("gpt").caching.key) == (80, "optional")
    # nothing is shared: who did not ask for the file does not see it
    assert find("opus").rules.minimum == 512


def test_a_file_may_add_a_server_and_its_models(folder: Path) -> None:
    catalog = own(
        folder,
        """
        [profiles.mine]
        base_url = "https://models.example.invalid/v1"
        key_env = "MINE_KEY"
        headers = { "X-Team" = "secret" }
        caching = "local"

        [models."openai-chat/mine/big"]
        aliases = ["big"]
        window = 65536
        price = { input = 1, output = 2 }

        [models."openai-chat/mine/twin"]
        base = "anthropic/claude-opus-5-5"
        """,
    )

    big, twin = catalog.find("big"), catalog.find("openai-chat/mine/twin")
    assert big.profile is not None
    assert (big.id, big.profile.base_url) == ("openai-chat/mine/big", "https://models.example.invalid/v1")
    assert (big.profile.text_form, big.caching.kind, big.known) == ("string", "blocks", True)
    assert big.price is not None
    assert (big.price.read, big.price.write()) == (1, 1), "not published: the most that it can be"
    assert (twin.window, twin.caching.kind, twin.price, twin.rules.max_markers) == (1_000_000, "markers", None, 0)
    assert "secret" not in repr(big)


def test_another_server_inherits_neither_address_nor_key_nor_headers(folder: Path) -> None:
    catalog = own(
        folder,
        """
        [profiles.generic]
        base_url = "http://localhost:1/v1"
        headers = { "X-Token" = "one" }
        stream_usage = false
        [profiles.my-own]
        caching = "local"
        """,
    )

    generic, mine = catalog.profile("generic"), catalog.profile("my-own")
    assert (generic.base_url, generic.key_env, generic.headers) == (
        "http://localhost:1/v1",
        "OPENAI_API_KEY",
        {"X-Token": "one"},
    )
    assert (mine.base_url, mine.key_env, mine.headers, mine.stream_usage) == (None, "MY_OWN_API_KEY", {}, False)


def test_every_server_but_generic_has_an_address_and_a_key_of_its_own() -> None:
    catalog = Catalog.load()
    found = [catalog.profile(name) for name in catalog.profiles()]

    assert [profile.name for profile in found if profile.base_url is None] == ["generic"]
    named = [profile.key_env for profile in found if profile.name != "generic"]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n[model.x]\nwindow = 1", "catalog.toml:2: unknown setting `model`; did you mean `models`"),
        ('[models."openai/x"]\n\nwindw = 1', "catalog.toml:3: .*did you mean `models.openai/x.window`"),
        ('[models."openai/x"]\nwindow = "big"', "catalog.toml:2: .*a whole number of tokens"),
        ('[models."openai/x"]\nprice = 3', "catalog.toml:2: .*must be a table"),
        ('[models."openai/x"]\nprice = { input = 1 }', "catalog.toml:1: .*a price needs `input` and `output`"),
        ('[models."openai/x"]\nlater."soon" = { input = 1, output = 1 }', "`soon` in `later` is no day"),
        ('[models."openai/x"]\nlater."2027-01-01" = { input = 1 }', "from 2027-01-01 on needs `input` and `output`"),
        ('[models."openai/gpt-6-sol"]\nlater."2027-01-01" = { input = 1, output = 1 }', "one price for every length"),
        ('[models."openai/x"]\nlong = { input = 1, output = 1 }', "`long` needs `above`"),
        ('[models."openai/x"]\nprice = { input = -1, output = 1 }', "USD per million tokens"),
        ('[models."openai/x"]\nprice = { input = true, output = 1 }', "USD per million tokens"),
        ("[models.x]\nwindow = 1", "catalog.toml:1: `x` names no model"),
        ('\n[models."openai/x"]\nfamily = "none"', "catalog.toml:2: .*`none` is not in .families."),
        ('[models."openai/x"]\ncaching = "none"', "`none` is not in .caching."),
        ('[models."openai/x"]\nbase = "openai/y"', "`openai/y` is not in the catalog"),
        ('[models."openai/x"]\nbase = "openai/x"', "has a base itself"),
        ('[profiles.p]\nbase_url = "ftp://x"', "an address that begins with https"),
        ('[profiles.p]\nmarkers = "yes"', "one of none, cache_control, prompt_cache_breakpoint"),
        ('[profiles.p]\ncaching = "nope"', "`nope` is not in .caching."),
        ('[caching.c]\nkind = "units"', "a contract needs `minimum`"),
        ('[aliases]\na = "b"', "catalog.toml:2: .*names no model"),
        ("[sources]\na = 'b'", "unknown setting `sources`"),
        ("[models", "catalog.toml:1: not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(folder: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        own(folder, text)

    assert "\n" not in str(refused.value)


def test_a_project_has_no_say(tmp_path: Path, folder: Path) -> None:
    for name in ("catalog.toml", ".harness/catalog.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('[profiles.deepseek]\nbase_url = "https://evil.example.invalid"\n')

    assert Catalog.load(folder).profile("deepseek").base_url == "https://api.deepseek.com"


def test_every_fact_says_where_it_is_from(folder: Path) -> None:
    catalog = own(folder, '[models."anthropic/claude-opus-5-5"]\nprice.read = 0.3\n')

    facts = {fact.name: fact for fact in catalog.explain(catalog.find("opus"))}

    assert facts["price.read"].origin == str(folder / "catalog.toml")
    assert facts["price.input"].origin == "[litellm], [genai-prices]"
    assert facts["cache.lookback"].origin == "contract anthropic [pc]"
    assert "prompt-caching" in catalog.source("pc")
    unknown = Catalog.load().find("anthropic/claude-9")
    assert {fact.origin for fact in Catalog.load().explain(unknown) if fact.name == "window"} == {"careful default"}


# ---------------------------------------------------------------------------------------- how the table is made


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_catalog", ROOT / "scripts" / "update_catalog.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LITELLM = {
    "gpt-x": {
        "litellm_provider": "openai",
        "max_input_tokens": 922000,
        "max_output_tokens": 128000,
        "input_cost_per_token": 2e-06,
        "input_cost_per_token_above_272k_tokens": 4e-06,
        "cache_read_input_token_cost": 1e-07,
        "cache_creation_input_token_cost": 2.5e-06,
        "cache_creation_input_token_cost_above_12hr": 5e-06,
        "output_cost_per_token": 1e-05,
        "output_cost_per_token_above_272k_tokens": 1.5e-05,
        "supports_vision": True,
        "supports_max_reasoning_effort": True,
    },
    "deepseek/d": {
        "litellm_provider": "deepseek",
        "max_input_tokens": 1000,
        "max_output_tokens": 100,
        "input_cost_per_token": 3e-07,
        "cache_creation_input_token_cost": 0.0,
        "output_cost_per_token": 1e-06,
    },
}
KEPT: dict[str, dict[str, Any]] = {
    "openai/gpt-x": {"family": "gpt", "max_output": 64000},
    "openai/gpt-y": {"price": {"input": 1, "output": 2}},
    "openai-chat/deepseek/d": {},
}


def tiered(base: float, above: int, price: float) -> SimpleNamespace:
    return SimpleNamespace(base=base, tiers=[SimpleNamespace(start=above, price=price)])


def genai(script: ModuleType) -> dict[str, dict[str, Any]]:
    def when(**constraint: object) -> SimpleNamespace:
        return SimpleNamespace(**constraint)

    def choice(constraint: object, price: float) -> SimpleNamespace:
        return SimpleNamespace(constraint=constraint, prices=SimpleNamespace(input_mtok=price, output_mtok=price))

    plain = SimpleNamespace(input_mtok=tiered(3, 271_999, 6), output_mtok=10, cache_write_mtok=2.5)
    dated = [
        choice(None, 0.1),
        choice(when(start_date=dt.date(2026, 1, 1)), 0.2),
        choice(when(start_date=dt.date(2027, 1, 1)), 9),
        choice(when(start_time=1, end_time=4), 0.4),
    ]
    day = dt.date(2026, 11, 1)
    return {
        "openai/gpt-x": script.from_genai(1_050_000, plain, day),
        "deepseek/d": script.from_genai(None, dated, day),
    }


def test_the_lists_are_merged_and_what_is_kept_by_hand_wins(script: ModuleType) -> None:
    rows, conflicts = script.merge(KEPT, LITELLM, genai(script))

    row = rows["openai/gpt-x"]
    assert (row["window"], row["max_input"]) == (1_050_000, 922_000)
    assert "max_output" not in row
    assert row["price"] == {"input": 3.0, "read": 0.1, "write_30m": 2.5, "write_12h": 5.0, "output": 10.0}
    assert row["long"] == {"above": 272_000, "input": 6.0, "output": 15.0}
    assert row["efforts"] == ["low", "medium", "high", "max"]
    assert "openai/gpt-y" not in rows
    assert conflicts == [
        "openai/gpt-x: price.input: litellm 2, genai-prices 3; the higher",
        "openai/gpt-x: long.input: litellm 4, genai-prices 6; the higher",
        "openai/gpt-x: max_output: facts.toml 64000 wins over litellm 128000",
        "openai-chat/deepseek/d: price.input: litellm 0.3, genai-prices 0.4; the higher",
        "openai-chat/deepseek/d: price.output: litellm 1, genai-prices 0.4; the higher",
    ]


def test_prices_that_depend_on_day_and_hour(script: ModuleType) -> None:
    row = genai(script)["deepseek/d"]

    assert row["price"] == {"input": 0.4, "output": 0.4}, "the dearest hours of the day asked for"
    assert row["later"] == {"2027-01-01": {"input": 9, "output": 9}}


def test_the_same_lists_give_the_same_bytes_and_the_form(script: ModuleType) -> None:
    versions = {"litellm": "1", "genai-prices": "2"}
    texts = [
        script.render(script.merge(KEPT, LITELLM, genai(script))[0], versions, dt.date(2026, 11, 1)) for _ in range(2)
    ]

    assert texts[0] == texts[1]
    tables = tomllib.loads(texts[0])
    assert tables["models"] == json.loads(json.dumps(script.merge(KEPT, LITELLM, genai(script))[0]))
    catalog_file.check("made", texts[0], tables, catalog_file.BUNDLED)


def test_a_jump_of_a_price_is_seen(script: ModuleType) -> None:
    old = {"a": {"price": {"input": 1.0, "output": 5.0}}, "gone": {}}
    new = {"a": {"price": {"input": 10.0, "output": 6.0}}, "new": {}}

    changed, jumps = script.compare(old, new)

    assert changed == ["~ a price.input: 1 -> 10", "~ a price.output: 5 -> 6", "+ new", "- gone"]
    assert jumps == ["~ a price.input: 1 -> 10"]


def lists_as_installed(folder: Path) -> Path:
    """A folder of packages with the two lists, as pip would lay them out; that of genai-prices is empty."""
    for name in ("litellm", "genai_prices"):
        about = folder / f"{name}-1.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (folder / "genai_prices").mkdir()
    (folder / "genai_prices" / "__init__.py").touch()
    (folder / "genai_prices" / "data.py").write_text("providers = []\n")
    return folder


def test_a_refused_jump_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "facts.toml").write_text('[models."openai-chat/deepseek/d"]\n')
    table = tmp_path / "catalog.toml"
    table.write_text('[models."openai-chat/deepseek/d"]\nprice = { input = 0.01, output = 1 }\n')
    lists = tmp_path / "litellm.json"
    lists.write_text(json.dumps(LITELLM))
    command = ["--litellm", str(lists), "--providers", str(tmp_path), "--as-of", "2026-11-01"]
    environment = {"PYTHONPATH": str(lists_as_installed(tmp_path / "packages"))}
    before = table.read_text()

    def main(*flags: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(ROOT / "scripts" / "update_catalog.py"), *command, *flags]
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    refused = main()
    assert (refused.returncode, refused.stderr) == (1, "")
    assert table.read_text() == before
    assert "refused" in refused.stdout
    assert main("--force", "--dry-run").returncode == 0
    assert table.read_text() == before
    assert main("--force").returncode == 0
    assert tomllib.loads(table.read_text())["models"]["openai-chat/deepseek/d"]["price"]["input"] == 0.3


def test_the_table_was_made_from_the_hand_kept_one() -> None:
    """A row of the table for a model that facts.toml does not name, or says itself, is left over from another day."""
    made = tomllib.loads((PROVIDERS / "catalog.toml").read_text())["models"]
    kept = tomllib.loads((PROVIDERS / "facts.toml").read_text())["models"]

    assert [name for name in made if name not in kept] == []
    doubled = {
        (name, key)
        for name, row in made.items()
        for key, value in row.items()
        if key in kept[name] and key not in {"source", "notes"} and not isinstance(value, dict)
    }
    assert doubled == set()


def test_models_are_values() -> None:
    assert isinstance(find("opus"), Model)
    assert find("opus") == find("anthropic/claude-opus-5-5")


@pytest.mark.parametrize(
    ("named", "near"),
    [
        ("claude-sonet-5-5", "anthropic/claude-sonnet-5-5"),
        ("sonet", "sonnet"),
        ("openai/gpt-6.1-sool", "openai/gpt-6.1-sol"),
        ("openai-chat/deepseek/deepseek-v4-por", "openai-chat/deepseek/deepseek-v4-pro"),
        ("anthropic/nothing-like-it", ""),
    ],
)
def test_a_model_that_is_not_listed_is_said_with_the_one_that_was_meant(named: str, near: str) -> None:
    model = find(named)

    assert (model.known, model.near) == (False, near)
    assert (f"did you mean {near}?" in model.unknown) == bool(near)
    assert model.unknown.endswith("safe limits are used, and its price is unknown")
    assert find("sonnet").unknown == ""
