"""Exports of hostile content: whatever was said stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from harness.agent.session import Session
from harness.conversation.blocks import Image, Message, Text, Thinking, ToolCall, ToolResult
from harness.seam import Seam
from harness.sessions import export_html, export_json, export_markdown
from harness.sessions.figures import Figures, title_of
from harness.sessions.index import in_memory
from harness.sessions.rename import checked
from harness.sessions.transcript import EpochBegan, Item, Problem, Said, Transcript
from harness.tools.output import visible
from tests.e2e.lab import Lab
from tests.sessions.conftest import Make
from tests.ui.chromium import Browser, program

TAGS = {"p", "h1", "h2", "section", "span", "div", "details", "summary", "b", "pre", "img", "header", "main"}
TAGS |= {"html", "head", "meta", "title", "style", "body"}

ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "alt", "src"}

hostile = st.text() | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</pre></details></main><h1>forged",
        "```\n</pre>\n",
        "~~~~\n# x",
        "````md\n```\n",
        "\x1b[2J\u202e\u2028",
        "-->\n]]>",
    ]
)


def everything(text: str) -> list[Item]:
    blocks = (
        Text(text),
        Thinking(text, "", "m"),
        ToolCall("c", text, {text: text, "b": [text]}),
        ToolResult("c", (Text(text),), is_error=True),
    )
    said = [
        Said(number, 1.0, Message(tag, blocks), number % 2 == 0, {"c": text})  # type: ignore[arg-type]
        for number, tag in enumerate(("person", "system_injected", "answer", "results"))
    ]
    return [EpochBegan(0, 1.0, text, 3), *said, Problem(9, 1.0, text)]


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@given(hostile)
@example("```\n```x\n<b>")
def test_a_page_has_only_our_markup(text: str) -> None:
    page = "".join(export_html.pieces(Figures("id", given=text, cwd=text, model=text), everything(text)))

    found = Page(page)
    assert set(found.tags) <= TAGS
    assert found.open == []
    assert {name for name, _ in found.attributes} <= ATTRIBUTES
    assert found.tags.count("section") == 4
    assert visible(page) == page


@given(hostile)
def test_every_fence_of_a_markdown_export_is_closed_by_us(text: str) -> None:
    said = "".join(export_markdown.pieces(Figures("id", given=text), [everything(text)[1], Problem(1, 1.0, "END")]))

    assert said.endswith("\n**Problem: END**\n")
    assert visible(said) == said
    assert export_markdown.closed(said) == said


@given(hostile)
def test_a_fence_cannot_be_closed_from_inside(text: str) -> None:
    fence, *inside, last = export_markdown.fenced(text).split("\n")

    assert last == fence
    assert not any(line.strip().startswith(fence) for line in inside)
    assert "\n".join(inside) == visible(text)


@given(hostile)
def test_an_open_fence_is_closed_once(text: str) -> None:
    assert export_markdown.closed(export_markdown.closed(text)) == export_markdown.closed(text)


@given(hostile)
def test_json_is_ascii_and_whole(text: str) -> None:
    raw = "".join(export_json.pieces(Figures("id", given=text), everything(text)))

    assert raw.isascii()
    value = json.loads(raw)
    assert value["session"]["title"] == text
    assert value["items"][1]["blocks"][0] == {"type": "text", "text": text}
    assert [item["type"] for item in value["items"]] == ["epoch", *["message"] * 4, "problem"]


@given(hostile)
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_a_title_is_one_harmless_line(text: str) -> None:
    assert len(title_of(text)) <= 300
    if title_of(text):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202e]", checked(text))


def test_an_image_is_part_of_the_page_only_where_it_is_one() -> None:
    def shown(image: Image) -> str:
        return "".join(export_html.pieces(Figures("id"), [Said(1, 1.0, Message("person", (image,)), True, {})]))

    assert '<img alt="" src="data:image/png;base64,iVBORw0KGgo=">' in shown(Image("image/png", "iVBORw0KGgo="))
    for bad in (Image("image/svg+xml", "iVBORw0KGgo="), Image("image/png", '"><script>'), Image('x"', "AA==")):
        assert "<img" not in shown(bad)


def test_what_was_left_by_an_epoch_is_told_so(make: Make) -> None:
    folder = make(("person", "keep this"), ("answer", "ok"), ("person", "drop this"))
    session = Session.resume(folder, Seam())
    seqs = [entry.seq for entry in session.history.entries]
    session.journal.append("epoch", {"reason": "rewind: to turn 1", "messages": seqs[:2]})
    session.close()

    (figures,) = in_memory(lambda opened: opened.figures([folder]))
    said = [item for item in Transcript(folder) if isinstance(item, Said)]

    assert [item.current for item in said] == [True, True, False]
    assert "rewind: to turn 1 (2 messages from here on)" in "".join(export_html.pieces(figures, Transcript(folder)))


@pytest.mark.system
@pytest.mark.skipif(program() is None, reason="no chromium")
def test_a_browser_shows_the_page_without_running_anything(spoken: Lab) -> None:
    page = spoken.project / "page.html"
    assert spoken.run("sessions", "export", spoken.sessions()[0].name, "--output", str(page)).code == 0

    with Browser(900, 1100) as browser:
        browser.open(page)
        dom, seen = browser.js("document.documentElement.outerHTML"), browser.js("document.body.innerText")
        asked, complaints = browser.asked_for(), browser.complaints()

    assert set(Page(dom).tags) <= TAGS
    assert "&lt;i&gt;parser&lt;/i&gt;" in dom
    assert "<i>parser</i>" in seen
    assert asked == [page.as_uri()]
    assert complaints == []
