"""The shadow repository: git, run by us, on a store of our own outside the workspace.

Invariant: the workspace's own `.git`, its settings, hooks, filters and attributes neither change what git does here nor
are changed by it; one process at a time works on a store, and one that was killed leaves nothing that stops the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import SnapshotFailed
from harness.workspace import files

PATIENCE = 180.0
"""Seconds that one git command may take; the first snapshot of a large tree is the longest."""

SUSPICIOUS = 5.0
"""Seconds after which we look whether git waits for something that never comes."""

WAIT = 60.0
"""Seconds to wait for another session that works on the same store."""

_POLL = 0.02
_RULES = frozenset({".gitignore", ".gitattributes"})
_EXCLUDES = Path(".git/info/exclude")

# Given on the command line, these win over every file; `safe.bareRepository` is read from nowhere else.
_SETTINGS = {
    "core.bare": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "core.protectHFS": "false",  # else a name that is special elsewhere (`git~1`) would end the whole command
    "core.protectNTFS": "false",
    "core.trustctime": "true",
    "core.checkStat": "default",
    "core.splitIndex": "false",
    "core.sparseCheckout": "false",
    "core.compression": "1",
    "core.fsync": "loose-object,pack,reference",  # else a power loss takes what was saved before a command
    "core.fsyncMethod": "batch",
    "core.logAllRefUpdates": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
}

_ATTRIBUTES = "* -text -crlf -ident -filter -working-tree-encoding\n"
"""Wins over every .gitattributes of the workspace: contents go in and come out byte for byte."""

_DAMAGED = re.compile(
    r"index file|bad index|bad signature|unknown index|object|unable to read|missing|corrupt|broken|\.lock'|"
    r"not a git repository"
)

_FULL = re.compile(r"No space left|Out of diskspace|quota exceeded", re.IGNORECASE)


class GitFailed(SnapshotFailed):
    """A git command failed. `told`: what it wrote on stderr."""

    def __init__(self, message: str, told: str = "") -> None:
        super().__init__(message)
        self.told = told

    @property
    def damaged(self) -> bool:
        """Whether the store may be what is broken."""
        return bool(_DAMAGED.search(self.told))

    @property
    def full(self) -> bool:
        """Whether there was no room."""
        return bool(_FULL.search(self.told))


class GitStuck(SnapshotFailed):
    """A git command does not end; trying it again would only take as long."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a git command gave: exit code, stdout, and stderr as text."""

    code: int
    out: bytes
    told: str


def find_git(path_env: str, root: Path) -> str | None:
    """The absolute path of git in the absolute folders of `path_env`; never one that lies in the workspace."""
    real_root = os.path.realpath(root)
    folders = [part for part in path_env.split(os.pathsep) if part.startswith("/")]
    for folder in folders:
        found = shutil.which("git", path=folder)
        if found and not Path(os.path.realpath(found)).is_relative_to(real_root):
            return found
    return None


class Shadow:
    """The store of one workspace.

    Args:
        git: absolute path of the program.
        folder: where the store is; private to the person.
        root: the workspace, symlinks resolved.
    """

    def __init__(self, git: str, folder: Path, root: Path) -> None:
        self._git = git
        self._folder = folder
        self._repository = folder / "git"
        self.root = root

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[Git]:
        """The store, for this block alone.

        Raises:
            SnapshotFailed: another session holds it for too long, or it cannot be made.
        """
        try:
            files.private_folder(self._folder)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SnapshotFailed(f"cannot write {self._folder}: {files.reason(error)}") from None
        try:
            await _take(lock)
            git = Git(self._git, self._repository, self.root, lock)
            await git.prepare()
            yield git
        finally:
            os.close(lock)

    def free(self) -> Git:
        """The store without holding it: for what git itself makes safe beside others."""
        return Git(self._git, self._repository, self.root, None)

    def pruned(self) -> str:
        """The day on which it was last pruned; "" if never."""
        try:
            return (self._folder / "pruned").read_text()
        except OSError:
            return ""

    def mark_pruned(self, day: str) -> None:
        """Remember the day.

        Raises:
            SnapshotFailed: it cannot be written.
        """
        try:
            (self._folder / "pruned").write_text(day)
        except OSError as error:
            raise SnapshotFailed(f"cannot write {self._folder}: {files.reason(error)}") from None

    def size(self) -> int:
        """Bytes that the store takes. Blocks."""
        total = 0
        for folder, _, names in os.walk(self._repository / "objects"):
            for name in names:
                with contextlib.suppress(OSError):  # another session packs them meanwhile
                    total += (Path(folder) / name).lstat().st_size
        return total


async def _take(lock: int) -> None:
    try:
        async with asyncio.timeout(WAIT):
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise SnapshotFailed(f"another session has been saving the files of this folder for {WAIT:g} s") from None


class Git:
    """Commands on a store. lock: its descriptor; children inherit it, so that an orphan of a kill still holds it."""

    def __init__(self, program: str, repository: Path, root: Path, lock: int | None) -> None:
        self._program = program
        self._repository = repository
        self._root = root
        self._lock = lock

    async def prepare(self) -> None:
        """Make the store where there is none yet, and remove what a killed command left of it."""
        ready = self._repository / "ready"
        if not ready.exists():
            await self.run("init", "--quiet", "--bare", "--template=", str(self._repository), worktree=False)
            self._write_ready(ready)
        # We hold the store, and so did every command that could own this.
        (self._repository / "index.lock").unlink(missing_ok=True)

    def _write_ready(self, ready: Path) -> None:
        try:
            (self._repository / "info").mkdir(exist_ok=True)
            (self._repository / "info" / "attributes").write_text(_ATTRIBUTES)
            ready.write_text(str(self._root), encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise SnapshotFailed(f"cannot write {self._repository}: {files.reason(error)}") from None

    async def mend(self) -> None:
        """Drop the list of known files, so that the next snapshot reads every file anew, and what is empty."""
        (self._repository / "index").unlink(missing_ok=True)
        (self._repository / "ready").unlink(missing_ok=True)
        await asyncio.to_thread(self._drop_empty)
        await self.prepare()

    def _drop_empty(self) -> None:
        """Remove the contents and names of which a power loss left nothing; git keeps what is there, and locks too."""
        kept = ("HEAD", "config", "objects/??/*", "refs/snapshots/*")
        for path in (path for pattern in kept for path in self._repository.glob(pattern)):
            with contextlib.suppress(FileNotFoundError):  # another session packs them meanwhile
                if path.stat().st_size == 0:
                    path.unlink()

    def sweep(self) -> None:
        """Remove half-written contents: where there is no room, they take what is left of it. Blocks."""
        for path in (self._repository / "objects").glob("*/tmp_*"):
            path.unlink(missing_ok=True)

    async def run(
        self, *words: str | bytes, given: bytes = b"", codes: Sequence[int] = (0,), worktree: bool = True
    ) -> Output:
        """Run a command to its end.

        Args:
            given: its input.
            codes: exit codes that are no failure.
            worktree: whether it works on the workspace's files.

        Raises:
            GitFailed: another exit code.
            GitStuck: it took too long.
        """
        process = await self._start(words, worktree=worktree)
        try:
            out, errors = await self._patiently(process, given, _name(words))
        finally:
            await _ended(process)
        told = errors.decode("utf-8", "replace").strip()
        if process.returncode not in codes or process.returncode is None:
            if _FULL.search(told):
                raise GitFailed(f"no room in {self._repository.parent}: free space there", told)
            last = told.splitlines()[-1] if told else f"exit code {process.returncode}"
            raise GitFailed(f"git {_name(words)}: {last}", told)
        return Output(process.returncode, out, told)

    async def _patiently(self, process: asyncio.subprocess.Process, given: bytes, name: str) -> tuple[bytes, bytes]:
        talk = asyncio.ensure_future(process.communicate(given))
        try:
            done, _ = await asyncio.wait({talk}, timeout=SUSPICIOUS)
            if not done and (found := await asyncio.to_thread(_trap, self._root)):
                raise GitStuck(f"git waits for ever for {found}, which is no plain file: remove it")
            async with asyncio.timeout(PATIENCE):
                return await talk
        except TimeoutError:
            raise GitStuck(f"git {name} took longer than {PATIENCE:g} s") from None
        finally:
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        """A command that gives contents by their hashes, for this block."""
        process = await self._start(("cat-file", "--batch"), worktree=False)
        try:
            yield Reader(process)
        finally:
            await _ended(process)

    async def _start(self, words: Sequence[str | bytes], *, worktree: bool) -> asyncio.subprocess.Process:
        settings = [part for name, value in self._settings().items() for part in ("-c", f"{name}={value}")]
        environment = {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CEILING_DIRECTORIES": "/",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "HOME": str(self._repository),
            "LC_ALL": "C",
            "PATH": str(Path(self._program).parent),
        }
        if words[0] != "init":
            environment["GIT_DIR"] = str(self._repository)
        if worktree:
            environment["GIT_WORK_TREE"] = str(self._root)
        try:
            return await asyncio.create_subprocess_exec(
                self._program,
                *settings,
                *words,
                cwd=self._root if worktree else self._repository.parent,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                pass_fds=() if self._lock is None else (self._lock,),
                limit=1 << 20,
            )
        except OSError as error:
            raise GitFailed(f"git could not be started in {self._root}: {files.reason(error)}") from None

    def _settings(self) -> dict[str, str]:
        excludes = self._root / _EXCLUDES
        # By type: opening a FIFO would wait for ever.
        known = files.kind(excludes) == "a regular file" and not excludes.is_symlink()
        return _SETTINGS | {"core.excludesFile": str(excludes) if known else os.devnull}


class Reader:
    """Contents by their hashes, one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def content(self, name: str) -> bytes:
        """The content of a blob.

        Raises:
            GitFailed: the store does not have it any more.
        """
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None and answers is not None  # noqa: S101, PT018 - asked for at the start
        try:
            async with asyncio.timeout(PATIENCE):
                asked.write(name.encode() + b"\n")
                await asked.drain()
                head = (await answers.readline()).split()
                if len(head) != 3:
                    raise GitFailed(f"saved content {name[:12]} is missing from the store", "missing")
                content = await answers.readexactly(int(head[2]))
                await answers.readexactly(1)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            raise GitFailed(f"saved content {name[:12]} could not be read") from None
        return content


def _name(words: Sequence[str | bytes]) -> str:
    return words[0] if isinstance(words[0], str) else os.fsdecode(words[0])


def _trap(root: Path) -> str:
    """A file of rules that git would open and read without end; "" where there is none."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        for name in _RULES.intersection(names):
            path = Path(folder) / name
            if files.kind(path) not in ("a regular file", "a directory", ""):
                return str(path.relative_to(root))
    return ""


async def _ended(process: asyncio.subprocess.Process) -> None:
    """The command and its children are gone, also when we were cancelled."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await process.communicate()  # only their end closes the pipes
