"""`harness sessions show`: a session as text for a terminal.

Invariant: everything that was said is escaped, and its lines begin with a mark or two spaces, so that nothing in it
looks like another speaker; long outputs are cut where nobody asked for all of them, and it is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.commands.arguments import Parser
from harness.config import state_dir
from harness.conversation.blobs import Blobs
from harness.conversation.blocks import Block, Image, Setting, Text, Thinking, ToolCall, ToolResult
from harness.conversation.scan import Scan
from harness.seam import Seam
from harness.sessions import index, wording
from harness.sessions.figures import KINDS, Figures
from harness.sessions.store import Store
from harness.sessions.transcript import Billed, Delegated, EpochBegan, Item, Problem, Said, Transcript
from harness.tools.output import visible
from harness.ui.plain import one_line

_LINES = 12
"""Lines of a tool's output that are shown."""


def show_command(arguments: Sequence[str], seam: Seam, store: Store) -> int:
    """Run the command; the exit code."""
    parser = Parser(prog="harness sessions show", description="The conversation as text.", allow_abbrev=False)
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--full", action="store_true", help="tool outputs and thinking too, whole")
    flags = parser.parse_args(arguments)
    folder = store.looked_at(flags.id)
    for line in _heading(figures_of(folder, store, state_dir(seam.environment()))):
        print(line)
    for item in Transcript(folder):
        for line in _lines(item, full=flags.full):
            print(line)
    return 0


def figures_of(folder: Path, store: Store, state: Path) -> Figures:
    """The figures of one session."""
    if folder not in store.all():  # a sub-agent, which no index knows
        figures = Figures(folder.name)
        figures.read_on(Scan(folder / "journal.jsonl", KINDS), Blobs(folder / "blobs"))
        return figures
    found = index.use(state, lambda opened: opened.figures(store.all()))
    return next((one for one in found if one.id == folder.name), Figures(folder.name))


def _heading(figures: Figures) -> Iterator[str]:
    heading = wording.heading(figures)
    yield one_line(heading.title)
    yield from (f"  {one_line(text)}" for text in heading.lines)


def _lines(item: Item, *, full: bool) -> Iterator[str]:
    match item:
        case Said():
            yield from _said(item, full=full)
        case Billed():
            yield f"= {one_line(wording.billed(item))}"
        case Delegated():
            yield f"= {one_line(wording.delegated(item))}"
        case EpochBegan():
            yield f"\n── {one_line(wording.epoch(item))} ──"
        case Problem(_, _, text):
            yield f"! {one_line(text)}"


def _said(item: Said, *, full: bool) -> Iterator[str]:
    message = item.message
    if message.tag not in ("results", "answer"):
        yield ""
    mark = {"person": "> ", "program": "» ", "system_injected": "# "}.get(message.tag, "  ")
    if not item.current:
        yield "(no longer part of the conversation)"
    for block in message.blocks:
        yield from _block(block, item, mark, full=full)


def _block(block: Block, item: Said, mark: str, *, full: bool) -> Iterator[str]:
    match block:
        case Text(text):
            first, *rest = visible(text).rstrip("\n").split("\n")
            yield mark + first
            yield from (" " * len(mark) + line for line in rest)
        case Image(media_type):
            yield f"{mark}[an image: {one_line(media_type, 40)}]"
        case Thinking(text):
            if full and text:
                yield from (f"~ {line}" for line in visible(text).split("\n"))
        case ToolCall(_, name):
            arguments = wording.called(block)
            yield f"· {one_line(name)} {one_line(arguments, 100_000 if full else 200)}"
        case ToolResult(call_id, content, is_error):
            name = one_line(item.calls.get(call_id, "an unknown call"))
            lines = visible(wording.result_text(content)).rstrip("\n").split("\n")
            shown = lines if full else lines[:_LINES]
            yield f"{'✗' if is_error else '✓'} {name}"
            yield from (f"│ {line}" for line in shown)
            if len(shown) < len(lines):
                yield f"… {len(lines) - len(shown):,} more lines: --full"
        case Setting():
            yield f"# {one_line(wording.setting(block))}"
