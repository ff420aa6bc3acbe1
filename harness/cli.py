"""The command line: which command, and how every failure ends: one line and an exit code.

Invariant: nothing is imported that the command does not need; `--version` and `--help` import neither SDK nor screen.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from harness import __version__
from harness.commands.arguments import Parser, number
from harness.config_values import CACHE_SCOPES, EFFORTS, MODES
from harness.errors import OUTPUT, HarnessError, UsageError
from harness.seam import Seam

COMMANDS = {
    "sessions": "your sessions: list, search, show, rename, export, import, delete",
    "documents": "PDF, Word, Excel and PowerPoint to text, cached",
    "demo": "a real task against a simulated vendor: no key, no network, seconds",
    "simulate": "the simulated vendor alone, as a server (docs/simulator.md)",
    "skills": "instructions for kinds of work: list, show, check, add",
    "models": "known models: windows, prices, how they cache",
    "memory": "notes that later sessions see: list, show, add, forget, check",
    "cache": "what a session read from the prompt cache, why not more, and what that cost",
    "replay": "prove that a session's requests can be built again, byte for byte",
    "bench": "the figures of docs/figures.md, on this machine",
    "doctor": "check that everything it needs is here, and that caching works on your route",
}

_COUNT = number(int, lambda count: count >= 1, "a whole number, 1 or more")
_DOLLARS = number(float, lambda usd: 0 < usd < float("inf"), "a number of dollars, more than 0")
_SHARE = number(float, lambda share: 0 < share <= 1, "a share such as 0.9, above 0 and at most 1")


def parser() -> argparse.ArgumentParser:
    """The flags of a run without a subcommand."""
    commands = "\n".join(f"  harness {name:10} {text}" for name, text in COMMANDS.items())
    flags = Parser(
        prog="harness",
        description="A coding agent for the terminal that keeps the prompt cache warm, and proves it.",
        epilog=f"commands:\n{commands}\n\nexit codes: 0 done, 1 failed, 2 usage, 3 a limit was reached, "
        "4 cache target missed, 75 try again later, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    flags.add_argument("--version", action="version", version=f"harness {__version__}")
    flags.add_argument(
        "-p",
        "--print",
        dest="task",
        nargs="?",
        const="",
        metavar="TASK",
        help="do this task and exit; stdin is appended. With -c or -r and no TASK: go on with a turn that was cut off",
    )
    flags.add_argument(
        "-c", "--continue", dest="continue_last", action="store_true", help="continue the last session here"
    )
    flags.add_argument("-r", "--resume", metavar="ID", help="continue this session")
    flags.add_argument("--fork", action="store_true", help="with -c or -r: continue in a copy")
    flags.add_argument("--model", metavar="NAME", help="provider/model or an alias (sonnet, opus, haiku)")
    flags.add_argument(
        "--fallback-model",
        metavar="NAME",
        help="used when the model cannot answer: overload, limits, no connection",
    )
    flags.add_argument("--effort", choices=EFFORTS, help="how hard the model tries")
    flags.add_argument("--cwd", metavar="DIR", help="work there")
    flags.add_argument(
        "--add-dir", metavar="DIR", action="append", default=[], help="may edit there too; again for more"
    )
    flags.add_argument("--no-session", action="store_true", help="keep no session")
    flags.add_argument(
        "--permission-mode",
        choices=MODES,
        help="plan: reads only; ask (default in a terminal session): asks before it writes or runs; edit (default with "
        "-p): edits in the workspace, runs what --allow admits; yolo: everything",
    )
    flags.add_argument(
        "--allow",
        metavar="RULE",
        action="append",
        default=[],
        help="permit calls of this form without asking, e.g. 'shell(pytest *)'; again for more",
    )
    flags.add_argument("--output-format", choices=("text", "json", "stream-json"), default="text")
    flags.add_argument("--json-schema", metavar="FILE", help="the answer must be JSON that this schema accepts")
    flags.add_argument("--max-turns", metavar="N", type=_COUNT, help="at most N model calls")
    flags.add_argument("--max-cost", metavar="USD", type=_DOLLARS, help="stop when that much is spent")
    flags.add_argument(
        "--min-cache-hit",
        metavar="R",
        type=_SHARE,
        help="exit 4 if warm requests read less than this share of what was cached for them and harness is to blame",
    )
    flags.add_argument(
        "--response-cache",
        choices=CACHE_SCOPES,
        help="serve a cached response where the very same request was answered before (for evaluations; default off)",
    )
    flags.add_argument("--fresh", action="store_true", help="take no answer from a cache; what comes replaces it there")
    flags.add_argument("--strict-prefix", action="store_true", help="send no request that does not extend the last")
    return flags


def run(arguments: Sequence[str], seam: Seam | None = None) -> int:
    """Run one command line; gives the exit code. `seam`: another machine's facts, for tests and replay."""
    seam = seam or Seam()
    try:
        return _done(list(arguments), seam)
    except HarnessError as error:
        _say(str(error))
        _drop_output()
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("harness: interrupted\n")
        return 130
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        why = error.strerror or str(error)
        if error.filename == OUTPUT:
            _say(f"cannot write the output: {why}; free space, or send it elsewhere")
        else:
            _say(f"{why}: {error.filename}" if error.filename else why)
        _drop_output()
        return 1


def _drop_output() -> None:
    """Let go of output that nobody takes: Python must not complain about it once more at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    """One line on stderr, whatever a vendor, a file or a flag put into it."""
    # only for a failure: a good run does not wait for this import
    from harness.ui.plain import one_line

    sys.stderr.write(f"harness: {one_line(text)}\n")


def _done(arguments: list[str], seam: Seam) -> int:
    try:
        code = _dispatch(arguments, seam)
    except SystemExit as end:  # argparse, after --help and --version
        code = int(end.code or 0)
    sys.stdout.flush()  # what cannot be written is told by who called, or Python ends with a code of its own
    return code


def _dispatch(arguments: list[str], seam: Seam) -> int:
    if arguments and arguments[0] in COMMANDS:
        module = importlib.import_module(f"harness.commands.{arguments[0]}")
        code: int = module.main(arguments[1:], seam)
        return code
    if arguments and not arguments[0].startswith("-"):
        known = ", ".join(COMMANDS)
        raise UsageError(f'no command `{arguments[0]}` (commands: {known}); for a task: harness -p "{arguments[0]} …"')
    flags = parser().parse_args(arguments)
    _check(flags)
    # the SDK's import takes most of a second: only for a run that needs it
    if flags.task is None:
        from harness.commands import interactive

        return interactive.main(flags, seam)
    from harness.commands import oneshot

    return oneshot.main(flags, seam)


def _check(flags: argparse.Namespace) -> None:
    """What argparse cannot say: combinations, folders."""
    resumes = flags.resume is not None
    if flags.task is None and flags.min_cache_hit is not None:
        raise UsageError('--min-cache-hit needs a task: harness -p "task"')
    if flags.task is None and (flags.json_schema is not None or flags.output_format != "text"):
        raise UsageError('--json-schema and --output-format need a task: harness -p "task"')
    if flags.continue_last and resumes:
        raise UsageError("-c and -r exclude each other: -c goes on with the last session here, -r ID with that one")
    if flags.fork and not (flags.continue_last or resumes):
        raise UsageError("--fork needs -c or -r: there is nothing to copy")
    if flags.no_session and (flags.continue_last or resumes):
        raise UsageError("--no-session starts a new session that is not kept; it excludes -c and -r")
    for name, path in [("--cwd", flags.cwd), *(("--add-dir", path) for path in flags.add_dir)]:
        # os.path: a name too long, or a folder that may not be looked into, is no folder and no failure
        if path is not None and not os.path.isdir(path):  # noqa: PTH112 - see above
            raise UsageError(f"{name} {path:.200}: no such folder")
