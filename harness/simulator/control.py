"""The simulator's own endpoints under /_sim/, for a client in another process.

Invariant: they only show or set what the Python API shows or sets; no path here exists at a real vendor.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from harness.simulator.faults import fault_from
from harness.simulator.records import Received
from harness.simulator.scenario import Scenario
from harness.simulator.vendor import Vendor


def control(vendor: Vendor, method: str, path: str, body: bytes) -> tuple[int, object]:
    """Status and JSON value for a request under /_sim/."""
    name = path.removeprefix("/_sim/")
    if method == "GET":
        page = _shown(vendor, name)
        return (200, page) if page is not None else (404, {"error": f"no such page: {path}"})
    try:
        return 200, _set(vendor, name, json.loads(body or b"{}"))
    except (ValueError, TypeError, KeyError) as error:
        return 400, {"error": str(error)}


def _shown(vendor: Vendor, name: str) -> object:
    match name:
        case "health":
            return {"ok": True, "now": vendor.clock.now()}
        case "requests":
            return described(vendor.requests())
        case "refused":
            return [asdict(item) | {"body": item.body.decode("utf-8", "replace")} for item in [*vendor.refused]]
        case _:
            return None


def _set(vendor: Vendor, name: str, value: Any) -> object:
    match name:
        case "clock":
            return {"now": vendor.clock.advance(float(value["advance"]))}
        case "fault":
            vendor.fault(fault_from(value))
        case "scenario":
            vendor.brain = Scenario.parse(value)
        case "evict":
            return {"evicted": vendor.evict(float(value.get("share", 1.0)))}
        case "reset":
            vendor.reset()
        case _:
            raise ValueError(f"no such page: /_sim/{name}")
    return {"ok": True}


def described(requests: list[Received]) -> list[dict[str, Any]]:
    """One object per request, with how it relates to the earlier mainline requests of its line.

    `prefix_ok`: all blocks of the line's previous mainline request are the first blocks of this one (null
    when there is none). `extends`: index of the newest earlier mainline request of the line that this one
    extends, or null.
    """
    lines: dict[str, list[tuple[int, list[str]]]] = {}
    described: list[dict[str, Any]] = []
    for request in requests:
        digests = [block.sha256 for block in request.blocks]
        earlier = lines.setdefault(request.line, [])
        extended = (index for index, old in reversed(earlier) if digests[: len(old)] == old)
        described.append(
            {
                "index": request.index,
                "at": request.at,
                "wire": request.wire,
                "kind": request.kind,
                "model": request.model,
                "line": request.line,
                "contract": request.contract,
                "usage": request.usage,
                "read": request.read,
                "written": request.written,
                "prompt_tokens": request.prompt_tokens,
                "perfect_read": request.perfect_read,
                "explain": request.explain,
                "markers": list(request.markers),
                "n_blocks": len(request.blocks),
                "prefix_ok": digests[: len(earlier[-1][1])] == earlier[-1][1] if earlier else None,
                "extends": next(extended, None),
                "blocks": digests,
            }
        )
        if request.kind == "mainline":
            earlier.append((request.index, digests))
    return described
