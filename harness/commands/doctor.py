"""`harness doctor`: whether all is here that the program needs; with `--probe`: whether caching works on this route.

Invariant: without `--probe` nothing is sent with a key, and nothing is billed; with it nothing is sent before its price
was said and agreed to. No secret is shown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from harness.commands import doctor_machine as machine
from harness.commands import doctor_network as network
from harness.commands.arguments import Parser
from harness.commands.doctor_findings import Finding
from harness.config import state_dir
from harness.errors import HarnessError, UsageError
from harness.seam import Seam
from harness.workspace.ripgrep import find_rg

FORMAT = 1
"""Version of the JSON form."""


def main(arguments: Sequence[str], seam: Seam) -> int:
    """Look; gives the exit code: 0 where nothing is bad."""
    flags = _flags(arguments)
    findings: list[Finding] = []
    for finding in _findings(flags, seam):
        findings.append(finding)
        if not flags.json:
            print(finding.line(sys.stdout.encoding), flush=True)
    probed: dict[str, Any] | None = None
    code = 1 if any(finding.status == "bad" for finding in findings) else 0
    if flags.probe and not code:
        # the SDK's import takes most of a second: only for who asks
        from harness.commands.doctor_probe import Probe

        probe = Probe(seam, flags.model, flags.requests, quiet=flags.json, asked=flags.yes)
        code = asyncio.run(probe.run())
        probed = probe.to_json()
    elif flags.probe and not flags.json:
        print("The probe was not sent: mend what is marked first.")
    if flags.json:
        whole = {"format": FORMAT, "ok": code == 0, "findings": [one.to_json() for one in findings], "probe": probed}
        print(json.dumps(whole, ensure_ascii=False))
    return code


def _flags(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="harness doctor", description="Is everything here that harness needs?", allow_abbrev=False)
    parser.add_argument("--offline", action="store_true", help="do not look whether vendors can be reached")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--model", metavar="NAME", help="look at the route of this model")
    parser.add_argument("--probe", action="store_true", help="real requests: does caching work on this route?")
    parser.add_argument("--requests", type=int, choices=(2, 3, 4, 5), help="how many the probe sends (2)")
    parser.add_argument("--yes", action="store_true", help="send the probe without asking")
    flags = parser.parse_args(arguments)
    if not flags.probe and (flags.yes or flags.requests):
        raise UsageError("--yes and --requests are for --probe: add it, or leave them out")
    if flags.probe and not flags.yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("--probe costs money, and there is no terminal to ask on; add --yes to send it")
    flags.requests = flags.requests or 2
    return flags


def _findings(flags: argparse.Namespace, seam: Seam) -> Iterator[Finding]:
    environment = seam.environment()
    yield machine.python(seam)
    found = network.settings(seam, flags.model)
    yield from found.findings
    yield machine.permissions(environment)
    listed = network.routes(found, environment)
    for route in listed:
        yield network.key(route, environment)
    yield from network.proxies(environment)
    yield from network.certificates(environment)
    if not flags.offline:
        for route in listed:
            yield network.endpoint(route)
    yield machine.ripgrep(find_rg(environment.get("PATH", "")))
    yield machine.git(environment)
    yield machine.terminal(environment)
    try:
        folder = state_dir(environment)
    except HarnessError as error:
        yield Finding("bad", "state folder", str(error))
        return
    yield from machine.state(folder)
    yield machine.session_locks(folder / "sessions", seam)
