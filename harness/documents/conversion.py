"""One document to text: known by its content, converted in a process of its own, or taken from the cache.

Invariant: a key names exactly the bytes that were converted and everything that made the text (script, what it
imports, libraries, interpreter, range of pages, FORMAT): the process works on copies of what was hashed, so a file or a
script that changes meanwhile is another key, never a stale text.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.documents import cache, confined, environment, scripts
from harness.documents.folders import Folders, unwritable
from harness.documents.kinds import LARGEST, Kind, kind_of
from harness.documents.outline import finish
from harness.documents.scripts import Script
from harness.errors import DocumentError
from harness.seam import Seam
from harness.workspace import files
from harness.workspace.environment import child_environment

FORMAT = 1
"""Of keys and kept texts: a change here or in `outline` that gives other texts counts it up."""

PAGES = 2000
"""Pages that are converted where no range was asked for."""

_INSTALL = "harness documents install"

SECONDS = 240
MEGABYTES = 2048


@dataclass(frozen=True, slots=True)
class Shipped:
    """What comes with the program. scripts: a folder. requirements: a file."""

    scripts: Path
    requirements: Path

    @classmethod
    def here(cls) -> Shipped:
        """Of this version."""
        return cls(scripts.shipped_folder(), environment.requirements())


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one conversion's process."""

    seconds: int = SECONDS
    megabytes: int = MEGABYTES


@dataclass(frozen=True, slots=True)
class Converted:
    """A text. hit: it was there already. seconds: what the conversion took. notes: on the scripts, one line each."""

    entry: cache.Entry
    path: Path
    hit: bool
    script: str
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Converter:
    """Converts for one person on one machine. say: gets one line before something that takes long."""

    folders: Folders
    seam: Seam
    say: Callable[[str], None]
    shipped: Shipped
    limits: Limits = Limits()

    def convert(self, path: Path, pages: tuple[int, int] | None = None) -> Converted:
        """The text of the document at `path`, of PDFs the given pages (from 1, both included).

        Raises:
            DocumentError: no document, hostile, damaged, or the script failed; one line that says what to do.
        """
        copies = scripts.copies(self.folders, self.shipped.scripts)
        with self._work() as work:
            try:
                content, kind = _take(path, work / "document")
            except DocumentError as problem:
                raise DocumentError(f"{path} {problem}") from None
            if pages and not kind.paged:
                raise DocumentError(f"{path} is a {kind.name} document: --pages is for PDF; read the text by lines")
            span = "{}-{}".format(*(pages or (1, PAGES))) if kind.paged else "all"
            used = (copies[kind.script], copies[scripts.SHARED])
            key = self._key(content, used, span)
            notes = tuple(note for script in used if (note := script.note()))
            found = cache.find(self.folders.cache, key, self.seam.now())
            if found is not None:
                self._log("hit", key, path, kind)
                return Converted(found, cache.text_path(self.folders.cache, key), True, kind.script, notes=notes)  # noqa: FBT003 - a field
            python = environment.ready(self.folders, self.shipped.requirements, self.seam.environment(), self.say)
            begun = self.seam.monotonic()
            try:
                text = self._run(path, work, python, used, span)
            except DocumentError as problem:
                self._log("failed", key, path, kind, problem=str(problem))
                raise
            entry = self._keep(key, path, kind, text)
            seconds = round(self.seam.monotonic() - begun, 2)
            self._log("converted", key, path, kind, seconds=seconds)
        with _writing(self.folders.cache):
            cache.prune(self.folders.cache, self.seam.now(), keep=key)
        return Converted(entry, cache.text_path(self.folders.cache, key), False, kind.script, seconds, notes)  # noqa: FBT003 - a field

    def _key(self, content: str, used: tuple[Script, Script], span: str) -> str:
        libraries = environment.digest(self.shipped.requirements.read_bytes())
        made_from = [str(FORMAT), content, *(f"{one.path.name} {one.digest}" for one in used), libraries, span]
        return hashlib.sha256("\n".join(made_from).encode()).hexdigest()[:32]

    @contextmanager
    def _work(self) -> Iterator[Path]:
        """A private folder for the time of one conversion."""
        with _writing(self.folders.cache):
            work = Path(tempfile.mkdtemp(prefix=cache.WORK, dir=self.folders.cache))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _run(self, path: Path, work: Path, python: Path, used: tuple[Script, Script], span: str) -> str:
        """Runs the script; what it wrote."""
        with _writing(self.folders.cache):
            for script in used:
                (work / script.path.name).write_bytes(script.source)
        target, said = work / "text", work / "errors"
        script = used[0]
        command = [
            *(str(python), "-I", "-B", "-X", "utf8", confined.__file__),
            *(str(work / script.path.name), str(work / "document"), str(target), span.replace("all", "1-1")),
            *(str(self.limits.seconds), str(self.limits.megabytes)),
        ]
        with said.open("wb") as errors:
            try:
                code = subprocess.run(
                    command,
                    cwd=work,
                    env=child_environment(self.seam.environment()),
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    timeout=self.limits.seconds,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                code = -signal.SIGXCPU
        if code:
            raise DocumentError(self._failure(path, script, code, _last_line(said)))
        if not target.is_file():
            raise DocumentError(f"{path} was not converted: {script.path} wrote no text; repair it and convert again")
        return target.read_text(encoding="utf-8", errors="replace")

    def _failure(self, path: Path, script: Script, code: int, why: str) -> str:
        """One line: whose fault it may be, and which script to look at."""
        if code == 3:
            return f"{path} is not converted: {why} (said by {script.path})"
        if code == -signal.SIGXCPU:
            why = f"it takes more than {self.limits.seconds} s"
        elif code < 0:
            why = f"it ended by signal {-code} ({why})" if why else f"it ended by signal {-code}"
        if why.startswith("ModuleNotFoundError"):
            return f"{path} could not be converted: {why}; script: {script.path}; if a library is missing: {_INSTALL}"
        advice = "the document may be damaged; otherwise repair that script and convert again"
        if code in (5, -signal.SIGXCPU):
            advice = "of a PDF convert a part with --pages A-B; otherwise that script may be made to need less"
        return f"{path} could not be converted: {why or f'exit {code}'}; script: {script.path}; {advice}"

    def _keep(self, key: str, path: Path, kind: Kind, text: str) -> cache.Entry:
        done = finish(text)
        raw = done.text.encode("utf-8", "backslashreplace")
        digest = hashlib.sha256(raw).hexdigest()
        entry = cache.Entry(
            key, _name(path), kind.name, cache.stamp(self.seam.now()), digest, done.lines, len(raw), done.sections
        )
        with _writing(self.folders.cache):
            cache.put(self.folders.cache, entry, raw)
        return entry

    def _log(self, event: str, key: str, path: Path, kind: Kind, **more: str | float) -> None:
        line = {"time": cache.stamp(self.seam.now()), "event": event, "key": key, "kind": kind.name}
        with _writing(self.folders.cache):
            cache.log(self.folders.cache, {**line, "source": _name(path), "script": kind.script, **more})


def _name(path: Path) -> str:
    """A path as text that JSON can carry."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _take(path: Path, copy: Path) -> tuple[str, Kind]:
    """Copies the document while it is hashed; SHA-256 in hex, and its kind, both of the copy."""
    state = hashlib.sha256()
    try:
        with files.opened(path) as file:
            kind_of(file)  # refuses the wrong ones before they are copied
            fd = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as target:
                for piece in files.chunks(file, LARGEST + 1):
                    state.update(piece)
                    target.write(piece)
    except FileNotFoundError:
        raise DocumentError("does not exist; look for it under another name or in another folder") from None
    except (OSError, ValueError) as problem:
        reason = files.reason(problem) if isinstance(problem, OSError) else str(problem)
        raise DocumentError(f"cannot be read: {reason}") from None
    with files.opened(copy) as file:
        return state.hexdigest(), kind_of(file)


def _last_line(said: Path) -> str:
    """The last line that a process wrote to its errors."""
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - 4096))
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((" ".join(line.split())[:600] for line in reversed(lines) if line.strip()), "")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(error, folder, "XDG_CACHE_HOME") from None
