"""Values for what is known of a model: price, caching contract, server profile, what a change of settings costs.

Invariant: a value says what is known and nothing else; what is not known is None, empty, or the careful reading.
Sources of the figures: the `source` keys of facts.toml and catalog.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Literal

from harness.conversation.request import CacheKind, CacheRules, Refresh

Wire = Literal["anthropic", "openai-responses", "openai-chat"]
Thinking = Literal["adaptive", "always", "none"]
CacheKey = Literal["required", "optional", "none"]
Markers = Literal["none", "cache_control", "prompt_cache_breakpoint"]
Level = Literal["nothing", "messages", "system", "tools"]
How = Literal["safe", "deferred", "confirmed", "vendor"]


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. writes: (TTL, price), the shortest lived first; empty where writing costs nothing extra.

    A read price that is not published is the input price: the most that it can be.
    """

    input: float
    output: float
    read: float
    writes: tuple[tuple[str, float], ...] = ()

    def write(self, ttl: str | None = None) -> float:
        """The price of a token written for that TTL; of the shortest lived where it is not priced by itself."""
        return dict(self.writes).get(ttl or "", self.writes[0][1]) if self.writes else self.input

    @property
    def write_short(self) -> float:
        """The price of the vendor's short-lived writes (Anthropic 5m, OpenAI 30m)."""
        return self.write()

    @property
    def write_long(self) -> float:
        """The price of the vendor's long-lived writes (Anthropic 1h, OpenAI 12h)."""
        return self.writes[-1][1] if self.writes else self.input


@dataclass(frozen=True, slots=True)
class Caching:
    """How one vendor caches: the contract that markers, ledger and verdicts keep to.

    minimum: tokens below which nothing is cached, silently. granularity: reads are whole multiples of that many
    tokens; 1 is exact, 0 not published. ttls: (name, seconds), the vendor's default first; empty: kept until it is
    evicted. max_markers, lookback: breakpoints per request, and positions or breakpoints that are looked at before
    each; 0: none. refresh: what a read refreshes. key: whether requests need a cache key to be matched.
    strips_thinking: a person's message removes earlier thinking at the vendor's side.
    """

    name: str
    kind: CacheKind
    minimum: int
    granularity: int = 1
    ttls: tuple[tuple[str, float], ...] = ()
    max_markers: int = 0
    lookback: int = 0
    refresh: Refresh = "marked"
    key: CacheKey = "none"
    strips_thinking: bool = False

    @property
    def default_ttl(self) -> str | None:
        """The name of the TTL that the vendor uses unasked."""
        return self.ttls[0][0] if self.ttls else None

    def seconds(self, ttl: str | None = None) -> float | None:
        """How long an entry lives after its last use; None: until it is evicted."""
        return dict(self.ttls)[ttl or self.ttls[0][0]] if self.ttls else None


@dataclass(frozen=True, slots=True)
class Profile:
    """How one server speaks the Chat Completions wire.

    base_url: None where the person has to give it (OPENAI_BASE_URL). caching, changes: rows of the catalog, for models
    that have none of their own. like: the provider whose rows hold for models here too; empty: none. affinity: the
    field that keeps a session on one cache, "body:prompt_cache_key" or "header:…"; empty: none. usage_read,
    usage_written: dotted paths in `usage`; empty: not told. text_form: content is sent as one string or as a list of
    parts, from birth. reasoning_echo: the field that carries an answer's reasoning back; empty: it is not sent back.
    strict_alternation: neighbouring messages of one role are merged at birth. user_after_tools: False where an
    assistant message has to stand between tool results and a person's message. stream_usage:
    `stream_options.include_usage` is needed and accepted. Header values may be secret.
    """

    name: str
    base_url: str | None
    key_env: str
    key_optional: bool
    markers: Markers
    caching: str
    changes: str
    like: str
    affinity: str
    usage_read: str
    usage_written: str
    text_form: Literal["string", "parts"]
    system_role: Literal["system", "developer"]
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"]
    reasoning_echo: str
    images: bool
    strict_alternation: bool
    user_after_tools: bool
    stream_usage: bool
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of one setting in mid-session does to a live cache, and what the program does about it.

    loses: the first level that is lost, with all after it ("tools" is everything). how: "safe", by `form`, which loses
    nothing; "deferred" to the next epoch; "confirmed" by the person, with its price; "vendor": it cannot be avoided and
    has its own verdict. beta: the header that the form needs. from_birth: it goes with every request from the first
    one on, and not only once the form is used: whether a header is part of what a cache is keyed on is not published.
    """

    setting: str
    loses: Level
    how: How
    form: str = ""
    beta: str = ""
    from_birth: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One model at one vendor or server.

    name: as it is sent. window: tokens of prompt and answer together; max_input: of the prompt alone. price: None
    where it is not known. long: the price of a whole request whose prompt is longer than `long_above` tokens. later:
    (first day, the price from then on), the earliest first; `on` gives the model with the price of a day. efforts:
    None where not known, empty where the model has none. thinking: "adaptive" is asked for, "always" is on unasked,
    "none" is not asked for. rejects: what is answered with 400. binds_thinking: thinking is signed together with all
    that is before it, so an edit there is an error and not only a miss. diagnostics: hosts that, asked, say why a
    prefix could not be reused; "*": whatever answers. near: the known model with the most similar name, of one unknown.
    """

    provider: str
    name: str
    window: int
    max_output: int
    thinking: Thinking
    rules: CacheRules
    caching: Caching
    wire: Wire
    max_input: int
    profile: Profile | None = None
    efforts: tuple[str, ...] | None = None
    rejects: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    images: bool = False
    binds_thinking: bool = False
    diagnostics: tuple[str, ...] = ()
    price: Price | None = None
    long: Price | None = None
    long_above: int = 0
    later: tuple[tuple[date, Price], ...] = ()
    aliases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    known: bool = True
    near: str = ""

    @property
    def unknown(self) -> str:
        """What a person is told of a model that the catalog does not have; "" of every other."""
        if self.known:
            return ""
        meant = f" (did you mean {self.near}?)" if self.near else ""
        return f"{self.id} is not in the model list{meant}: safe limits are used, and its price is unknown"

    @property
    def id(self) -> str:
        """As a person names it: "provider/model", "openai-chat/profile/model"."""
        return f"{self.provider}/{self.profile.name}/{self.name}" if self.profile else f"{self.provider}/{self.name}"

    def on(self, at: float) -> Model:
        """The model with the prices of a day; `at`: seconds since the epoch, taken in UTC."""
        due = [
            price for day, price in self.later if datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() <= at
        ]
        return replace(self, price=due[-1]) if due else self

    def price_for(self, prompt: int) -> Price | None:
        """The price of a request with a prompt of that many tokens."""
        return self.long if self.long and prompt > self.long_above else self.price

    def change(self, setting: str) -> Change:
        """What changing that setting does; of a setting that nothing is known of, the worst."""
        known = (change for change in self.changes if change.setting == setting)
        return next(known, Change(setting, "tools", "confirmed"))


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known of a model, as a person reads it, and where it comes from."""

    name: str
    value: str
    origin: str
