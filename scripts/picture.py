# ruff: noqa: INP001 - a script, not a package
"""Draws the pictures of the README from real runs, in a pseudo-terminal and in tmux, to SVG through rich."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

DOCS = Path("docs")
WIDTH = 100
"""Columns of a picture."""
FIX = "(net * rate + 50) // 100"
TASK = "Which files use the VAT of cart.py, and how?"
SCRIPT = {
    "conversations": [
        {
            "match": re.escape(TASK),
            "turns": [
                {"answer": [{"call": "grep", "input": {"pattern": r"\bvat\("}}]},
                {"answer": [{"call": "read", "input": {"path": name}} for name in ("invoice.py", "report.py")]},
                {
                    "answer": [
                        {"text": "invoice.py:5 and report.py:5 call it with whole cents; both show what it gives."}
                    ]
                },
            ],
        }
    ],
    "default": [
        {"answer": [{"text": "I'll look at how VAT is computed."}, {"call": "read", "input": {"path": "cart.py"}}]},
        {
            "answer": [
                {"text": "It rounds **down**; half up is meant. First I find out who depends on it."},
                {"call": "invoke_skill", "input": {"name": "explore", "task": TASK}},
            ]
        },
        {
            "answer": [
                {"text": "Both callers pass whole cents, so one line is enough."},
                {"call": "edit", "input": {"path": "cart.py", "old": "net * rate // 100", "new": FIX}},
            ]
        },
        {"answer": [{"call": "shell", "input": {"command": "python3 -m doctest cart.py"}}]},
        {"answer": [{"text": f"Fixed in `cart.py:7`: `return {FIX}`. The doctest passes."}]},
    ],
}
CART = 'def vat(net: int, rate: int) -> int:\n    """Half up.\n\n    >>> vat(50, 19)\n    10\n    """\n'
CALLER = "from cart import vat\n\n\ndef {name}(net: int) -> int:\n    return net + vat(net, 19)\n"


def save(name: str, title: str, ansi: str, width: int) -> None:
    """Write one picture; no fonts from the network: whatever monospace the viewer has."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=width, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(ansi))
        picture = console.export_svg(title=title)
    DOCS.mkdir(exist_ok=True)
    (DOCS / name).write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))


def demo() -> None:
    """The demo, whole."""
    os.environ |= {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    output = bytearray()

    def keep(handle: int) -> bytes:
        data = os.read(handle, 65536)
        output.extend(data)
        return data

    if pty.spawn([sys.executable, "-m", "harness", "demo"], keep):
        sys.exit("the demo failed")
    save("demo.svg", "harness demo", "\x1b[1m$ scripts/demo\x1b[0m\n" + output.decode().replace("\r\n", "\n"), WIDTH)


def session(folder: Path) -> None:
    """A session with a scripted model: a sub-agent, an edit and a command that are asked about, and `/cache`."""
    project = folder / "shop"
    project.mkdir()
    (project / "cart.py").write_text(CART + "    return net * rate // 100\n")
    for name in ("invoice", "report"):
        (project / f"{name}.py").write_text(CALLER.format(name=name))
    script = folder / "script.json"
    script.write_text(json.dumps(SCRIPT))
    command = [sys.executable, "-m", "harness.simulator", "--scenario", str(script), "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as vendor:
        url = json.loads(vendor.stdout.readline() if vendor.stdout else "")["url"]
        settings = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "XDG_STATE_HOME": str(folder / "state")}
        setting = " ".join(f"{name}={value}" for name, value in settings.items())
        tmux = ["tmux", "-L", "picture"]
        size = ["-x", str(WIDTH), "-y", "60"]
        start = f"cd {project} && {setting} {sys.executable} -m harness"
        subprocess.run([*tmux, "-f", os.devnull, "new-session", "-d", *size, start], check=True)
        try:
            _type(tmux, "VAT of 50 cents at 19 % should be 10. Fix it.", "/help", then="Enter")
            for answer, question in (("s", "write(**)"), ("y", "doctest")):
                _type(tmux, answer, question, then="")
            _type(tmux, "/cache", "The doctest passes", then="Enter")
            _until(tmux, "all of it: harness cache")
            time.sleep(1)
            shown = subprocess.run([*tmux, "capture-pane", "-p", "-e"], check=True, capture_output=True, text=True)
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)
            vendor.terminate()
    save("session.svg", "harness", re.sub(r"\n{4,}", "\n\n", shown.stdout), WIDTH)


def _type(tmux: list[str], keys: str, after: str, then: str) -> None:
    _until(tmux, after)
    time.sleep(1.5)
    subprocess.run([*tmux, "send-keys", "-l", keys], check=True)
    if then:
        subprocess.run([*tmux, "send-keys", then], check=True)


def _until(tmux: list[str], text: str) -> None:
    for _ in range(300):
        pane = subprocess.run([*tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True).stdout
        if text in pane:
            return
        time.sleep(0.1)
    sys.exit(f"{text!r} did not come:\n{pane}")


if __name__ == "__main__":
    demo()
    with tempfile.TemporaryDirectory(prefix="harness-") as name:
        session(Path(name))
