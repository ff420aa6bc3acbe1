"""A session as one HTML page that needs nothing else: no network, no script, no font.

Invariant: every text of the session is escaped, characters that act or hide are written out, and the page's own policy
forbids everything but its style and images that are part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from harness.conversation.blocks import Block, Image, Setting, Text, Thinking, ToolCall, ToolResult
from harness.sessions import wording
from harness.sessions.figures import Figures
from harness.sessions.transcript import Billed, Delegated, EpochBegan, Item, Problem, Said
from harness.tools.output import one_line, visible

_IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
_FENCE = re.compile(r"^ {0,3}```[^\n`]*\n(.*?)(?:^ {0,3}```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #656d76; --line: #d5dae0; --page: #fff; --box: #f5f7f9;
  --person: #0a5bd3; --bad: #b42318; --warn: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe4ea; --soft: #8d96a0; --line: #343b44; --page: #14171b;
  --box: #1d2127; --person: #6cb0ff; --bad: #ff8278; --warn: #e0b050; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 56rem; padding: 2rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
header p, .billed, .epoch, summary, .when { color: var(--soft); font-size: .85rem; margin: 0; }
header { border-bottom: 1px solid var(--line); padding-bottom: 1rem; margin-bottom: 1.5rem; }
section { margin: 1.25rem 0; }
section > h2 { font-size: .85rem; margin: 0 0 .25rem; }
.text { white-space: pre-wrap; }
.person { border-left: 3px solid var(--person); padding: .1rem 0 .1rem .8rem; }
.person > h2 { color: var(--person); }
.system_injected { color: var(--soft); font-size: .85rem; }
.gone { opacity: .55; }
pre { margin: .4rem 0; padding: .6rem .8rem; background: var(--box); border: 1px solid var(--line); border-radius: 6px;
  font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; max-height: 32rem; overflow: auto; }
details { margin: .3rem 0; }
summary { cursor: pointer; }
summary b { color: var(--ink); }
.failed b, .problem { color: var(--bad); }
.missed { color: var(--warn); }
.epoch { display: flex; gap: .8rem; align-items: center; margin: 1.5rem 0; }
.epoch::before, .epoch::after { content: ""; flex: 1; border-top: 1px solid var(--line); }
img { max-width: 100%; border: 1px solid var(--line); border-radius: 6px; }
"""


def pieces(figures: Figures, items: Iterable[Item]) -> Iterator[str]:
    """The page, piece by piece."""
    heading = wording.heading(figures)
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_line(heading.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    about = "".join(f"<p>{_line(text)}</p>\n" for text in heading.lines)
    yield f"<header>\n<h1>{_line(heading.title)}</h1>\n{about}</header>\n<main>\n"
    for item in items:
        match item:
            case Said():
                yield _said(item)
            case Billed():
                missed = "" if item.served or item.verdict in ("hit", "first") else " missed"
                yield f'<p class="billed{missed}">{_line(wording.billed(item))}</p>\n'
            case Delegated():
                yield f'<p class="billed">{_line(wording.delegated(item))}</p>\n'
            case EpochBegan():
                yield f'<p class="epoch">{_line(wording.epoch(item))}</p>\n'
            case Problem(_, _, text):
                yield f'<p class="problem">{_line(text)}</p>\n'
    yield "</main>\n</body>\n</html>\n"


def _said(item: Said) -> str:
    message = item.message
    gone = "" if item.current else " gone"
    when = wording.moment(item.at) + ("" if item.current else " · no longer part of the conversation")
    head = f'<h2>{_line(wording.speaker(message))} <span class="when">{_line(when)}</span></h2>'
    body = "".join(_block(block, item) for block in message.blocks)
    return f'<section class="{escape(message.tag)}{gone}">{head}\n{body}</section>\n'


def _block(block: Block, item: Said) -> str:
    match block:
        case Text(text):
            return _prose(text) if item.message.tag == "answer" else f'<div class="text">{_text(text)}</div>\n'
        case Image():
            return _image(block)
        case Thinking(text):
            return _folded("<b>thinking</b>", f"<pre>{_text(text)}</pre>" if text else "") if text else ""
        case ToolCall(_, name):
            arguments = wording.called(block)
            return _folded(f"<b>{_line(name)}</b> {_line(arguments, 120)}", f"<pre>{_text(arguments)}</pre>")
        case ToolResult(call_id, content, is_error):
            name = item.calls.get(call_id, "an unknown call")
            text = "\n".join(part.text for part in content if isinstance(part, Text))
            images = "".join(_image(part) for part in content if isinstance(part, Image))
            head = f"<b>{_line(name)}</b> {'failed: ' if is_error else ''}{_line(text, 120)}"
            return _folded(head, f"<pre>{_text(text)}</pre>{images}", "failed" if is_error else "")
        case Setting():
            return f"<p>{_line(wording.setting(block))}</p>\n"


def _prose(text: str) -> str:
    """An answer: as it is, but for its fenced code."""
    parts, place = [], 0
    for found in _FENCE.finditer(text):
        parts += [_paragraphs(text[place : found.start()]), f"<pre>{_text(found[1])}</pre>\n"]
        place = found.end()
    return "".join([*parts, _paragraphs(text[place:])])


def _paragraphs(text: str) -> str:
    shown = text.strip("\n")
    return f'<div class="text">{_text(shown)}</div>\n' if shown.strip() else ""


def _folded(head: str, body: str, kind: str = "") -> str:
    return f'<details class="{kind}"><summary>{head}</summary>{body}</details>\n'


def _image(image: Image) -> str:
    if image.media_type not in _IMAGES or not _BASE64.fullmatch(image.data):
        return f"<p>[an image: {_line(image.media_type)}]</p>\n"
    return f'<img alt="" src="data:{image.media_type};base64,{"".join(image.data.split())}">\n'


def _text(text: str) -> str:
    return escape(visible(text.replace("\r\n", "\n")))


def _line(text: str, limit: int = 400) -> str:
    return escape(one_line(" ".join(text.split()), limit))
