"""The documents' environment, installed once for a run of the tests, and a person's folders that use it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.documents import environment, folders
from harness.documents.conversion import Converted, Converter, Limits, Shipped
from harness.documents.folders import Folders
from harness.seam import Seam
from tests.documents import papers


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a real environment; made before any test has a home of its own."""
    place = tmp_path_factory.mktemp("libraries")
    made = folders.folders({**os.environ, "XDG_DATA_HOME": str(place), "XDG_CACHE_HOME": str(place / "cache")})
    return environment.ready(made, environment.requirements(), os.environ, print)


@pytest.fixture(scope="session")
def office(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one document of each kind."""
    folder = tmp_path_factory.mktemp("office")
    papers.run(python, papers.OFFICE, str(folder))
    (folder / "letter.pdf").write_bytes(papers.pdf([["Dear reader,", "this is page one."], ["And page two."], []]))
    return folder


@dataclass
class Person:
    """A person's two folders, and conversions in them."""

    kept: Folders
    limits: Limits = field(default_factory=Limits)
    said: list[str] = field(default_factory=list)
    shipped: Shipped = field(default_factory=Shipped.here)

    def convert(self, path: Path, pages: tuple[int, int] | None = None) -> Converted:
        """Convert one document."""
        return Converter(self.kept, Seam(), self.said.append, self.shipped, self.limits).convert(path, pages)

    def text(self, path: Path, pages: tuple[int, int] | None = None) -> str:
        """The text of one document."""
        return self.convert(path, pages).path.read_text()

    def script(self, name: str, source: str) -> Path:
        """Give one of the scripts another text."""
        self.kept.scripts.mkdir(exist_ok=True)
        path = self.kept.scripts / name
        path.write_text(source)
        return path


def move_in(python: Path, kept: Folders) -> None:
    """Let a person's folders use the environment of the run."""
    (kept.data / python.parent.parent.name).symlink_to(python.parent.parent)


@pytest.fixture
def person(python: Path, isolation: Path) -> Person:
    kept = folders.folders({"HOME": str(isolation)})
    move_in(python, kept)
    return Person(kept)


Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a document: `write("a.docx", b"…")` gives its path."""

    def written(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return written
