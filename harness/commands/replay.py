"""`harness replay`: prove a recorded session, run its tools again, or go another way from a request on.

Invariant: without --execute nothing runs, and without --from nothing is sent: a session file is data, whoever made it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from harness.audit.report import counted
from harness.commands import replay_execute, replay_from
from harness.commands.arguments import Parser, number
from harness.config import config_dir, state_dir
from harness.config_values import EFFORTS, Mode
from harness.conversation.canonical import Json
from harness.errors import UsageError
from harness.providers.catalog import Catalog
from harness.replay import wording
from harness.replay.report import Report
from harness.replay.verify import verify
from harness.seam import Seam
from harness.sessions.store import Store
from harness.ui.plain import one_line

FORMAT = 1
"""Version of the JSON form."""

_LONGEST = 2_000
"""Characters of a text in it: a session file is somebody's, and may have any text anywhere."""

_NOT_TOLD = "the others are of an older journal, or rest on journals that are not there"
_NOT_MADE_AGAIN = "the others are another version's, by its rules"

_LIVE = ("edit", "model", "effort", "verify")
"""Flags that mean something with --from only."""

_REQUEST = number(int, lambda count: 0 < count < 10**9, "the number of a request, from 1 on")


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Run the command; the exit code."""
    parser = _parser()
    flags = parser.parse_args(arguments)
    if flags.step is None and (unused := [name for name in _LIVE if getattr(flags, name) is not None]):
        raise UsageError(f"--{unused[0]} needs --from K: the request to go on from")
    if flags.step is not None and flags.execute:
        raise UsageError("--execute and --from exclude each other: run the tools again, or go another way")
    if flags.step is None and not flags.execute and (flags.allow or flags.permission_mode):
        raise UsageError("--allow and --permission-mode need --execute or --from K: nothing runs without")
    folder = folder_of(flags.id, seam, to_go_on=flags.step is not None or flags.execute)
    mode: Mode = flags.permission_mode or "edit"
    if flags.step is not None:
        way = replay_from.Way(
            flags.step,
            flags.edit,
            flags.model,
            flags.effort,
            mode,
            tuple(flags.allow),
            flags.verify,
        )
        result = replay_from.go(folder, seam, way)
        made = (
            [json.dumps({"format": FORMAT, **result}, ensure_ascii=True)] if flags.json else replay_from.lines(result)
        )
        sys.stdout.write("".join(f"{line}\n" for line in made))
        return 0 if result["end"]["reason"] == "done" else 1
    report = verify(folder, Catalog.load(config_dir(seam.environment())), rerender=flags.rerender)
    ran = replay_execute.execute(folder, seam, mode, flags.allow) if flags.execute else []
    if flags.json:
        again = {"calls": replay_execute.as_json(ran)} if flags.execute else {}
        sys.stdout.write(json.dumps({**as_json(report), **again}, ensure_ascii=True) + "\n")
    else:
        again_lines = replay_execute.lines(ran) if flags.execute else ()
        sys.stdout.write("".join(f"{line}\n" for line in (*lines(report), *again_lines)))
    return 0 if report.equal and all(one.state == "same" for one in ran) else 1


def _parser() -> Parser:
    parser = Parser(
        prog="harness replay",
        description="Build every request of a session again from its journal, and compare it with what was sent, byte "
        "for byte: no network, no tools. Exit 1 at the first divergence.",
        allow_abbrev=False,
    )
    parser.add_argument("id", metavar="ID", help="a session's id, the beginning of one, or a session's folder")
    parser.add_argument("--json", action="store_true", help="print the result as JSON (docs/replay.md)")
    parser.add_argument(
        "--rerender", action="store_true", help="make again what another version of the program rendered, too"
    )
    parser.add_argument(
        "--execute", action="store_true", help="run its tools again, in scratch copies of its files, and compare"
    )
    parser.add_argument("--permission-mode", choices=("plan", "edit"), help="with --execute or --from; edit by default")
    parser.add_argument(
        "--allow", metavar="RULE", action="append", default=[], help="with --execute or --from, e.g. 'shell(pytest *)'"
    )
    live = parser.add_argument_group(
        "try another way, live", "in a fork, with scratch copies of the files as they were then"
    )
    live.add_argument("--from", dest="step", type=_REQUEST, metavar="K", help="go on from request K")
    live.add_argument(
        "--edit", metavar="TEXT", help="what the model gets there instead: your words, or a tool's result"
    )
    live.add_argument("--model", metavar="NAME", help="with another model")
    live.add_argument("--effort", choices=EFFORTS, help="with another effort")
    live.add_argument("--verify", metavar="COMMAND", help="run this of yours on both results, e.g. 'pytest -q'")
    return parser


def folder_of(name: str, seam: Seam, *, to_go_on: bool) -> Path:
    """The session's folder: one that is named by its path, or one of the kept ones.

    Args:
        to_go_on: what a sub-agent's is not for; it may be looked at.
    """
    path = seam.cwd() / name
    # os.path: a name that is too long, or holds a NUL, is no folder and no failure
    if os.path.isfile(path):  # noqa: PTH113 - see above
        raise UsageError(f"{name:.200} is a file: name the folder that it is in, or a session's id")
    if "/" in name or os.path.isfile(path / "journal.jsonl"):  # noqa: PTH113 - see above
        return path
    store = Store(state_dir(seam.environment()))
    return store.to_go_on(name) if to_go_on else store.looked_at(name)


def as_json(report: Report) -> Mapping[str, Json]:
    """The JSON form."""
    found = report.found
    return {
        "format": FORMAT,
        "session": report.session,
        "version": report.version[:_LONGEST],
        "equal": report.equal,
        "requests": report.requests,
        "side_requests": report.side,
        "bodies": report.bodies,
        "expected_reads": report.reads,
        "answers": report.answers,
        "verdicts": report.verdicts,
        "sub_agents": report.agents,
        "sub_agents_proved": report.agents_proved,
        "blocks": report.blocks,
        "checked_by_digest": report.checked,
        "not_proved": report.unproved,
        "damage": [
            *(place[:_LONGEST] for place in report.damage),
            *([f"{report.more:,} more places"] if report.more else []),
        ],
        "divergence": None
        if found is None
        else {
            "request": found.request,
            "record": found.record,
            **{name: str(text)[:_LONGEST] for name, text in asdict(found.divergence).items()},
        },
    }


def lines(report: Report) -> Iterator[str]:
    """The text form."""
    also = f", {report.side} of them side requests" if report.side else ""
    made = counted(report.requests, "request")
    yield f"session {one_line(report.session)}: {made} made again and equal{also}"
    yield f"bodies            {report.bodies} by the digest of the very bytes that were sent"
    if report.bodies < report.requests:
        yield "                  the others by their blocks, markers and settings: their journal has no such digest"
    another = report.checked > 0
    if report.reads < report.requests or report.verdicts < report.answers:
        some = f"expected reads {report.reads} of {report.requests}, verdicts {report.verdicts} of {report.answers}"
        yield f"proved            {some}: {_NOT_MADE_AGAIN if another else _NOT_TOLD}"
    if report.agents_proved < report.agents:
        some = f"{report.agents_proved} of {report.agents}"
        yield f"sub-agents        the figures of {some} by their own journals: the others' are not there, or not whole"
    if another:
        yield f"by digest only    {report.checked} renderings of another version ({one_line(report.version)}), and with"
        yield "                  them its session block, contexts and cut outputs; --rerender makes all of it again"
    yield from wording.lines(report)
