"""A file whose text appears above the input line.

Invariant: everything written is printed, in order, and the terminal never leaves raw mode for it: a key pressed in that
moment would be echoed, and its Enter would come as Ctrl-J.
"""

from __future__ import annotations

import asyncio
import io
from collections import deque

from prompt_toolkit.application import Application

_BUNDLE = 0.03
"""Seconds for which writes are collected, so that the input line is not drawn for each."""


class Scrollback(io.TextIOBase):
    """Collects what is written, and prints it above the running application. Text comes from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._texts: deque[str] = deque()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, text: str) -> int:
        """Take a text; whole lines look best."""
        self._texts.append(text)
        self._loop.call_soon_threadsafe(self._wake.set)
        return len(text)

    def writable(self) -> bool:
        """Yes."""
        return True

    def isatty(self) -> bool:
        """What is written reaches a terminal."""
        return True

    async def print_on(self, application: Application[None]) -> None:
        """Print what comes, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_BUNDLE)
            if _drawn(application):
                # answers to earlier questions for the cursor's place must not be taken for later ones
                await application.renderer.wait_for_cpr_responses()
                self.print_now(application)

    def print_now(self, application: Application[None]) -> None:
        """Print what has come."""
        self._wake.clear()
        text = "".join(self._texts)
        self._texts.clear()
        if not text:
            return
        drawn = _drawn(application)
        if drawn:
            application.renderer.erase()
        application.output.enable_autowrap()
        application.output.write_raw(text.replace("\n", "\r\n"))
        application.output.flush()
        if drawn:
            application.renderer.request_absolute_cursor_position()
            application.renderer.render(application, application.layout)


def _drawn(application: Application[None]) -> bool:
    """Whether its input line is on the screen; at its end it is erased some time before it stops running."""
    return application.is_running and not application.is_done
