"""A pytest plugin: recorded sessions as tests, which fail on the first moved byte.

Invariant: looks only, and does nothing where no session is named: in the ini file, `harness_sessions = recorded/*`
(folders, as `harness sessions export ID --format session` makes them, beside the ini file or below it). A setting
that names none is an error: a test that is not there must not pass.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

_JOURNAL = "journal.jsonl"


class Moved(AssertionError):
    """A request is not what was sent."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the settings."""
    parser.addini("harness_sessions", "folders of recorded sessions, as globs from the ini file", type="args")
    about = "make again what another version of the program rendered, too"
    parser.addini("harness_rerender", about, type="bool", default=True)


def pytest_sessionstart(session: pytest.Session) -> None:
    """See `pytest`. Raises pytest.UsageError where sessions are named and none is there."""
    globs: list[str] = session.config.getini("harness_sessions")
    root = session.config.rootpath
    patterns = [f"{glob}/{_JOURNAL}" for glob in globs if not Path(glob).is_absolute()]
    # beside the ini file first: below it is every folder of a repository
    there = (path for search in (root.glob, root.rglob) for pattern in patterns for path in search(pattern))
    if globs and not any(_named(path, session.config) for path in there):
        raise pytest.UsageError(f"harness_sessions = {' '.join(globs)}: no recorded session is there, below {root}")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A session's journal that the ini file names."""
    if not _named(file_path, parent.config):
        return None
    made: pytest.Collector = RecordedSession.from_parent(parent, path=file_path)
    return made


def _named(path: Path, config: pytest.Config) -> bool:
    if path.name != _JOURNAL or not path.is_relative_to(config.rootpath):
        return False
    folder = path.parent.relative_to(config.rootpath)
    return any(folder.match(glob) for glob in config.getini("harness_sessions"))


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
