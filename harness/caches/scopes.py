"""Where the entries of a cache of ours are, by how far they are shared; for both caches.

Invariant: `run` leaves nothing behind; `session` lives and dies with its session; only `global` leaves the person's own
folders, and only to the folder that they named.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from harness.config_values import CacheScope
from harness.errors import StorageFull, UsageError
from harness.workspace.scratch import scratch

Cache = Literal["responses", "tool_outputs"]
"""A cache, as its setting, its folder and the command line call it."""

CACHES: tuple[Cache, ...] = ("responses", "tool_outputs")


class Scopes:
    """The folders of one run. `close` it.

    Args:
        state: the person's folder. shared: the one that they named for `global`, if any.
        session: gives the folder of the session; asked when it is needed.
    """

    def __init__(self, state: Path, shared: str | None, session: Callable[[], Path]) -> None:
        self._state = state
        self._shared = shared
        self._session = session
        self._temporary: Path | None = None
        self._opened = ExitStack()
        self._making = threading.Lock()

    def check(self, scope: CacheScope) -> None:
        """Before there is a session: see that the scope can be had.

        Raises:
            UsageError: "global", and no folder is named.
        """
        if scope == "global" and self._shared is None:
            raise UsageError('the scope "global" needs a folder: set folder under [caches] in your config.toml')

    def folder(self, cache: Cache, scope: CacheScope) -> Path:
        """The folder of a cache, which need not exist yet.

        Raises:
            UsageError: see `check`.
            StorageFull: no temporary folder can be made.
        """
        self.check(scope)
        match scope:
            case "global":
                return Path(self._shared or "") / cache
            case "session":
                return self._session() / "caches" / cache
            case "user":
                return self._state / "caches" / cache
            case _:
                return self._of_run() / cache

    def _of_run(self) -> Path:
        with self._making:  # calls that run at once look things up in threads
            if self._temporary is None:
                try:
                    made = scratch(Path(tempfile.gettempdir()), "harness-caches-")
                    self._temporary = self._opened.enter_context(made)
                except OSError as error:
                    raise StorageFull(f"cannot make a temporary folder: {error.strerror}; set TMPDIR") from error
            return self._temporary

    def close(self) -> None:
        """What was kept for the run alone is removed."""
        self._opened.close()
