"""A pytest plugin: recorded sessions as tests, which fail on the first moved byte.

Invariant: looks only, and does nothing where no session is named: in the ini file, `harness_sessions = recorded/*`
(folders, as `harness sessions export ID --format session` makes them, beside the ini file or below it).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest


class Moved(AssertionError):
    """A request is not what was sent."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the settings."""
    parser.addini("harness_sessions", "folders of recorded sessions, as globs from the ini file", type="args")
    about = "make again what another version of the program rendered, too"
    parser.addini("harness_rerender", about, type="bool", default=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A session's journal that the ini file names."""
    if file_path.name != "journal.jsonl":
        return None
    root = parent.config.rootpath
    folder = file_path.parent
    globs: list[str] = parent.config.getini("harness_sessions")
    if not any(folder.is_relative_to(root) and folder.relative_to(root).match(glob) for glob in globs):
        return None
    made: pytest.Collector = RecordedSession.from_parent(parent, path=file_path)
    return made


class RecordedSession(pytest.File):
    """One session: one test."""

    def collect(self) -> Iterator[pytest.Item]:
        """See `pytest.File`."""
        yield Verified.from_parent(self, name="replay")


class Verified(pytest.Item):
    """Every request of the session, made again."""

    def runtest(self) -> None:
        """See `pytest.Item`. Raises Moved."""
        # only here: a run without recorded sessions imports nothing of the program
        told = importlib.import_module("harness.replay.wording").told
        if found := told(self.path.parent, rerender=self.config.getini("harness_rerender")):
            raise Moved(found)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """The divergence and nothing else; of any other failure, all of it."""
        del style
        if isinstance(excinfo.value, Moved):
            return str(excinfo.value)
        return str(excinfo.getrepr())

    def reportinfo(self) -> tuple[Path, None, str]:
        """See `pytest.Item`."""
        return self.path, None, f"replay of {self.path.parent.name}"
