"""Bench: our own work per model call, at several lengths of the conversation, and the size of the fixed part.

Invariant: the clock stops when the server, its own process, gets the first byte; what it then answers does not count.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.agent.model_call import Channel, ModelCall
from harness.agent.session import Session
from harness.app import App
from harness.commands.simulated import SimulatedSeam
from harness.conversation.blocks import Message, Text, ToolCall, ToolResult
from harness.conversation.canonical import encode
from harness.conversation.events import nobody
from harness.options import Options
from harness.prompt.layers import static_text
from harness.seam import Seam
from harness.tools import (
    ask_user,
    checkpoint,
    edit,
    glob,
    grep,
    invoke_skill,
    read,
    shell,
    todo,
    web_fetch,
    web_search,
    write,
)
from harness.tools.base import definition

LENGTHS = (200, 5000)
TOOLS = (ask_user, checkpoint, edit, glob, grep, invoke_skill, read, shell, todo, web_fetch, web_search, write)

_SERVER = r"""
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    client, _ = server.accept()
    while True:
        first = client.recv(65536)
        if not first:
            break
        at = time.monotonic()
        head, _, body = first.partition(b"\r\n\r\n")
        length = next(int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length"))
        while len(body) < length:
            body += client.recv(1 << 20)
        events = (
            '{"type":"message_start","message":{"id":"%r","usage":{"input_tokens":9,"cache_read_input_tokens":9000,'
            '"cache_creation_input_tokens":9}}}' % at,
            '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ok"}}',
            '{"type":"content_block_stop","index":0}',
            '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}',
            '{"type":"message_stop"}',
        )
        text = "".join("event: x\ndata: %s\n\n" % event for event in events).encode()
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(text)
        client.sendall(head.encode() + text)
"""


def sizes() -> list[dict[str, Any]]:
    """Tokens (bytes of canonical JSON / 4) of what is the same in every session of this version."""
    tools = [encode(definition(tool.SPEC)) for tool in TOOLS]
    static = encode({"text": static_text(), "type": "text"})
    parts = {"tool definitions": sum(map(len, tools)), "static system block": len(static)}
    rows = [{"tokens": -(-size // 4), "bytes": size, "what": name} for name, size in parts.items()]
    total = sum(parts.values())
    return [*rows, {"tokens": -(-total // 4), "bytes": total, "what": f"together ({len(tools)} tools)"}]


@contextmanager
def server(folder: Path, outer: Seam) -> Iterator[Seam]:
    """A server that answers in a word, its own process; gives the seam that leads there."""
    with subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True) as running:
        try:
            port = int(running.stdout.readline()) if running.stdout else 0
            yield SimulatedSeam(outer, folder, f"http://127.0.0.1:{port}")
        finally:
            running.kill()


def measure(folder: Path, outer: Seam, runs: int) -> list[dict[str, Any]]:
    """Milliseconds from the call to the first byte at the server; median, smallest, largest."""
    with server(folder, outer) as seam:
        return [asyncio.run(_length(folder.resolve(), seam, length, max(runs, 5))) for length in LENGTHS]


async def _length(folder: Path, seam: Seam, length: int, runs: int) -> dict[str, Any]:
    app = App(Options(cwd=folder, no_session=True), seam, nobody)
    try:
        fill(app, length)
        await _call(app.session, app.agent.channel, seam)  # renders what is new, once; connects
        times = []
        for number in range(runs):
            app.session.add(Message("person", (Text(f"go on, {number}"),)))
            times.append(await _call(app.session, app.agent.channel, seam))
    finally:
        await app.close()
    return {
        "median ms": statistics.median(times),
        "min": min(times),
        "max": max(times),
        "what": f"{length:,} messages",
    }


def fill(app: App, length: int) -> None:
    """A conversation of that many messages."""
    app.agent.begin("a long session")
    for number in range(length // 2):
        call = ToolCall(f"call_{number}", "read", {"path": f"src/module_{number}.py"})
        app.session.add(Message("answer", (Text("I read the next module."), call)))
        app.session.add(Message("results", (ToolResult(call.id, (Text("line of code\n" * 40),)),)))


async def _call(session: Session, channel: Channel, seam: Seam) -> float:
    """Milliseconds of one call, up to the first byte that the server got."""
    begun = seam.monotonic()
    call = ModelCall(session, channel)
    async for _ in call.run():
        pass
    return (float(call.answer.message_id) - begun) * 1000
