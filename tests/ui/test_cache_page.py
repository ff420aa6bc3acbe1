"""The page of `harness cache --html`, in a real browser: quiet, whole, readable, also of a hostile session."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.audit.book import Book, Epoch, Row, SubAgent
from harness.audit.served_response import ServedResponse
from harness.conversation.blocks import Usage
from harness.conversation.events import SubAgentDone
from harness.ui.cache_page import page, said
from tests.ui.chromium import Browser, program

HOSTILE = (
    "</style></title><script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=alert(1)>"
    "'\"&\x00\x1b\u202e\ud800"
)

system = pytest.mark.system
needs_browser = pytest.mark.skipif(program() is None, reason="no chromium")


def row(number: int, prompt: int, read: int, verdict: str = "hit", **more: object) -> Row:
    usage = Usage(0, read, prompt - read, 0, 50)
    values: dict[str, object] = {"cause": "", "stop": "end_turn", "perfect": read, "bill": 0.01, "perfect_bill": 0.01}
    made = {
        "number": number,
        "at": 1.8e9 + 9 * number,
        "model": "m/x",
        "side": False,
        "epoch": 1,
        "usage": usage,
        "cost": 0.02,
    }
    return Row(**(made | values | {"verdict": verdict} | more))  # type: ignore[arg-type]


def book(count: int) -> Book:
    """Requests that grow; every fiftieth misses, in turn by one of four causes."""
    rows = []
    for number in range(1, count + 1):
        prompt = 3000 + 150 * number
        kinds = ("ours", "expired", "evicted", "declared")
        if number % 50 == 0:
            kind = kinds[number // 50 % 4]
            lost = {"lost": prompt, "lost_usd": 0.1, "cause": f"{kind} cause", "perfect": prompt - 150}
            rows.append(row(number, prompt, 0, kind, **lost))
        else:
            rows.append(row(number, prompt, prompt - 150 if number > 1 else 0, side=number % 33 == 0))
    epochs = (Epoch(0.0, "start", 1), Epoch(0.0, "settings: effort low to max", count // 2))
    return Book(tuple(rows), epochs)


def hostile() -> Book:
    rows = [
        row(n, 100, 50, HOSTILE, cause=HOSTILE, where=HOSTILE, model=HOSTILE, stop=HOSTILE, vendor=HOSTILE, lost=1)
        for n in (1, 2)
    ]
    broken = row(3, 0, 0, "", usage=None, cost=None, bill=None, perfect_bill=None, lost_usd=None)
    return Book((*rows, broken), (Epoch(0.0, HOSTILE, 1), Epoch(0.0, HOSTILE, 2)))


# --------------------------------------------------------------------------------------------- without a browser


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(f"{tag}.{name}" for name, _ in attrs)


def test_no_text_becomes_markup() -> None:
    text = page(HOSTILE, hostile(), 2)
    found, plain = Tags(), Tags()
    found.feed(text)
    plain.feed(page("s1", book(100), 0))

    assert found.tags <= plain.tags | {"p"}
    assert not {"script", "img", "iframe", "link", "object"} & found.tags
    assert found.attributes <= plain.attributes | {"p.class"}
    assert not [name for name in found.attributes if ".on" in name]
    text.encode("utf-8")
    assert not set(text) & set("\x00\x1b\u202e")


def test_nothing_is_fetched_and_nothing_runs_by_its_own_policy() -> None:
    text = page("s1", book(3), 0)

    assert "default-src 'none'" in text
    assert not re.search(r"https?:|url\(|@import|src=", text)


def test_any_text_is_one_line_and_bounded() -> None:
    assert said("a\n  b") == "a b"
    assert len(said("x" * 10_000)) == 600
    assert said("<&\"'>") == "&lt;&amp;&quot;&#x27;&gt;"


@pytest.mark.parametrize("empty", [Book((), ()), Book((row(1, 0, 0),), ())])
def test_a_session_without_figures_has_a_page(empty: Book) -> None:
    assert "</html>" in page("s1", empty, 0)


def test_sub_agents_have_their_bills_and_are_part_of_the_whole_cost() -> None:
    about = (HOSTILE, "fresh", f"m{HOSTILE}", "done", 3)
    usage = Usage(0, 1_200, 300, 0, 40)
    told = SubAgent(1.8e9, 1, SubAgentDone("c", "20261125-1-a", *about, usage, 0.03, 900, 1_000))
    unknown = SubAgent(1.8e9, 1, SubAgentDone("d", "20261125-2-b", *about, Usage(), None, None, None))

    text = page("s1", Book((row(1, 100, 50),), (), sub_agents=(told,)), 0)

    assert "<dt>with sub-agents</dt><dd>$0.0500<small>1 sub-agent</small></dd>" in text
    assert "900 of 1,000" in text
    assert "20261125-1-a" in text
    assert "<script>" not in text
    both = page("s1", Book((row(1, 100, 50),), (), sub_agents=(told, unknown)), 0)
    assert "<dt>with sub-agents</dt><dd>unknown<small>2 sub-agents</small></dd>" in both
    assert "with sub-agents" not in page("s1", book(3), 0)


def given_again() -> Book:
    """A session whose first two requests were served cached responses."""
    rows = []
    for number, prompt in enumerate((9_000, 9_400, 9_900, 10_300), 1):
        served = ServedResponse("k" * 64, f"s{HOSTILE}", 7 * number, 1.8e9, Usage(3, prompt - 300, 297, 0, 40), 0.0123)
        more = {"usage": Usage(), "cost": 0.0, "bill": 0.0, "perfect_bill": 0.0, "perfect": 0, "served": served}
        kind = ("response cache", more) if number < 3 else ("hit", {})
        rows.append(row(number, prompt, prompt - 300, kind[0], **kind[1]))
    return Book(tuple(rows), (Epoch(0.0, "start", 1),))


def test_what_was_given_again_is_told_with_its_origin_and_price() -> None:
    text = page("s1", given_again(), 0)

    assert "<dt>from the response cache</dt><dd>2<small>would have cost $0.0246</small></dd>" in text
    assert text.count('<i class="again" style="width:100.000%"></i>') == 2
    assert "record 7, of " in text
    assert "9,000 tokens in, 40 out, $0.0123" in text
    assert "served from the response cache" in text
    assert "served from" not in page("s1", book(3), 0)


# ------------------------------------------------------------------------------------------------ with a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser(1300, 1000) as made:
        yield made


def shown(browser: Browser, path: Path, made: Book, name: str = "s1") -> None:
    path.write_text(page(name, made, 0), "utf-8")
    browser.colours("light")
    browser.open(path)


VISIBLE = (
    "[...document.querySelectorAll('.details')].filter(d => getComputedStyle(d).display != 'none')"
    ".map(d => d.innerText)"
)


@system
@needs_browser
def test_a_thousand_rows_are_drawn_to_scale(browser: Browser, tmp_path: Path) -> None:
    made = book(1000)
    shown(browser, tmp_path / "page.html", made)

    assert browser.js("document.querySelectorAll('a.request').length") == 1000
    widths = browser.js("[1, 500, 1000].map(n => document.querySelector(`#r${n} .bar`).getBoundingClientRect().width)")
    prompts = [made.rows[n - 1].usage.prompt for n in (1, 500, 1000)]  # type: ignore[union-attr]
    assert [width / widths[-1] for width in widths] == pytest.approx([p / prompts[-1] for p in prompts], abs=0.01)
    read, bar = browser.js(
        "['.read', ''].map(s => document.querySelector(`#r701 .bar ${s}`.trim()).getBoundingClientRect().width)"
    )
    assert made.rows[700].usage
    assert read / bar == pytest.approx(made.rows[700].usage.read / made.rows[700].usage.prompt, abs=0.01)
    assert browser.js("document.querySelectorAll('li.ours, li.miss').length") == 20
    assert browser.js("[...document.querySelectorAll('li.epoch')].map(e => e.innerText)") == [
        "epoch: settings: effort low to max"
    ]
    assert browser.js("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the window"
    heights = browser.js(
        "[...document.querySelectorAll('a.request')].slice(0, 50).map(a => a.getBoundingClientRect().height)"
    )
    assert set(heights) == {18}


@system
@needs_browser
def test_it_asks_the_network_for_nothing_and_nothing_complains(browser: Browser, tmp_path: Path) -> None:
    for name, made in (("s1", book(60)), (HOSTILE, hostile())):
        path = tmp_path / "page.html"
        shown(browser, path, made, name)

        assert browser.asked_for() == [path.as_uri()]
        assert browser.complaints() == []
        assert browser.js("document.title").startswith("Cache of session ")
        assert browser.js("document.querySelectorAll('script, img').length") == 0


@system
@needs_browser
def test_a_cached_response_is_as_wide_as_the_prompt_it_met_first(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path / "page.html", given_again())

    widths = browser.js("[1, 4].map(n => document.querySelector(`#r${n} .bar`).getBoundingClientRect().width)")
    assert widths[0] / widths[1] == pytest.approx(9_000 / 10_300, abs=0.01)
    assert browser.js("getComputedStyle(document.querySelector('#r1 .again')).backgroundImage").startswith("repeating")
    browser.point_at("#r2")
    (details,) = browser.js(VISIBLE)
    assert "no vendor was asked" in details
    assert "record 14, of " in details
    assert browser.complaints() == []


@system
@needs_browser
def test_details_show_on_hover(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path / "page.html", book(100))
    assert browser.js(VISIBLE) == []
    browser.point_at("#r50")

    (details,) = browser.js(VISIBLE)
    assert "Request 50: ours" in details or "Request 50: expired" in details
    assert "10,500: 0 read" in details
    assert "$0.1000" in details
    left, top, right, bottom, width, height = browser.js(
        "(r => [r.left, r.top, r.right, r.bottom, document.documentElement.clientWidth, innerHeight])"
        "(document.querySelector('#r50 + .details').getBoundingClientRect())"
    )
    assert left > 0
    assert top > 0
    # in the corner of the window itself: within a row it would be cut off
    assert (right, bottom) == (width - 16, height - 16)


@system
@needs_browser
def test_the_keyboard_reaches_every_row_and_shows_the_same(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path / "page.html", book(12))
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    for number in range(1, 13):
        browser.tab()
        assert browser.js("document.activeElement.id") == f"r{number}"
        (details,) = browser.js(VISIBLE)
        assert details.startswith(f"Request {number}:")
    assert browser.js("document.activeElement.getAttribute('aria-label')").startswith("Request 12, hit: ")


@system
@needs_browser
def test_a_miss_in_the_list_leads_to_its_row(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path / "page.html", book(1000))
    browser.js("document.querySelector('a[href=\"#r950\"]').click()")

    top = browser.js("document.querySelector('#r950').getBoundingClientRect().top")
    assert 0 <= top < 1000


LUMA = "(c => .2126*c[0] + .7152*c[1] + .0722*c[2])(getComputedStyle({0}).{1}.match(/[\\d.]+/g).map(Number))"


@system
@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_person_likes(scheme: str, browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path / "page.html", book(100))
    browser.colours(scheme)
    paper, ink = (browser.js(LUMA.format("document.body", name)) for name in ("backgroundColor", "color"))

    assert (paper > 200, ink < 60) == ((True, True) if scheme == "light" else (False, False))
    parts = browser.js(
        "['read', 'written', 'uncached']"
        ".map(c => getComputedStyle(document.querySelector(`.legend .${c}`)).backgroundColor)"
    )
    assert len(set(parts)) == 3
