r"""Snapshots of a workspace: all of its files as they are now, by whatever they were changed.

Invariant: a snapshot is named by its content and changes nothing in the workspace; what is put back is a file of a
snapshot, and nothing is overwritten or removed that was not saved first.

A snapshot is a git tree of two entries: `files`, and `modes`, the permissions that git does not keep, one
"OCTAL PATH\0" per file. Saved are regular files and symlinks (as such) that no .gitignore excludes. Empty folders,
times and owners are not, nor are repositories inside the workspace: they have a history of their own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import SnapshotFailed
from harness.workspace import listing, restoring
from harness.workspace.listing import LeftOut, Listed, Selection
from harness.workspace.restoring import Entry
from harness.workspace.shadow import Git, GitFailed, Shadow, find_git

_BULK = 100
"""So many new files go into one pack; fewer into files of their own."""

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A saved state: its hash, and what of the workspace is not in it."""

    tree: str
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """What putting back did.

    before, after: the workspace as it was found and as it was left; redoing is going back to `before`.
    changed: paths that are now as wanted. since: those of them that somebody had changed in the meantime; `before` has
    that version. left: paths that are not as wanted, and why.
    """

    before: Snapshot
    after: Snapshot
    changed: tuple[bytes, ...]
    since: tuple[bytes, ...]
    left: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A change of the files: the trees before and after it. after: None where it is not known (a crash)."""

    before: str
    after: str | None


def why_not(root: Path, home: Path, state: Path, path_env: str) -> str:
    """Why the files of this workspace are not saved; "" where they can be."""
    real, real_home = Path(os.path.realpath(root)), Path(os.path.realpath(home))
    if real_home.is_relative_to(real):
        return "the workspace is the home folder or lies above it: start in a project's folder"
    if Path(os.path.realpath(state)).is_relative_to(real):
        return "the workspace holds the state folder: set XDG_STATE_HOME to one outside it"
    if find_git(path_env, root) is None:
        return "git was not found: install it"
    return ""


async def _nobody(_: str) -> None:
    """Nobody wants to know."""


class Snapshots:
    """The snapshots of one workspace.

    Args:
        git: absolute path of the program (`find_git`).
        folder: the store of this workspace; outside of it.
    """

    def __init__(self, git: str, folder: Path, root: Path) -> None:
        self._shadow = Shadow(git, folder, Path(os.path.realpath(root)))
        self._root = os.fsencode(self._shadow.root)
        self.root = self._shadow.root
        self._named: dict[tuple[str, bytes], str] = {}

    async def take(self, day: str) -> Snapshot:
        """Save the files as they are. day: "YYYYMMDD", for pruning.

        Raises:
            SnapshotFailed: no room, no right, another session for too long.
        """
        async with self._shadow.held() as git:
            return await self._take(git, day)

    async def _take(self, git: Git, day: str) -> Snapshot:
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._try(git, day)
            except GitFailed as failure:
                # A file that changed while it was read is read again; what of the store a power loss cut is made anew.
                if failure.full:
                    await asyncio.to_thread(git.sweep)
                if attempt == _TRIES or failure.full:
                    raise
                if failure.damaged and attempt > 1:
                    await git.mend()
        raise AssertionError("unreachable")

    async def _try(self, git: Git, day: str) -> Snapshot:
        await git.run("update-index", "-q", "--refresh", codes=(0, 1))
        found, ignored = await asyncio.gather(
            git.run("ls-files", "-z", "-t", "-c", "-o", "-m", "-d", "--exclude-standard"),
            git.run("ls-files", "-z", "-i", "-c", "--exclude-standard"),
        )
        chosen = await asyncio.to_thread(self._select, found.out, ignored.out)
        if chosen.drop:
            await git.run("update-index", "--force-remove", "-z", "--stdin", given=_lines(chosen.drop))
        if chosen.take:
            # From one byte on, contents are streamed into one pack: a first snapshot takes a third of the time.
            bulk = ("-c", "core.bigFileThreshold=1") if len(chosen.take) > _BULK else ()
            await git.run(
                *bulk, "update-index", "--add", "--remove", "--replace", "-z", "--stdin", given=_lines(chosen.take)
            )
        tree = (await git.run("write-tree")).out.strip().decode()
        left_out = [*chosen.left_out, *_unlisted(found.told)]
        return Snapshot(await self._name(git, tree, chosen.modes, day), tuple(left_out))

    def _select(self, found: bytes, ignored: bytes) -> Selection:
        listed = Listed.parse(found, ignored)
        fresh = bool(listed.new or listed.changed)
        room = listing.MOST_BYTES - self._shadow.size() if fresh else 0
        return listing.select(self._root, listed, room)

    async def _name(self, git: Git, files: str, modes: Mapping[bytes, int], day: str) -> str:
        """The tree of both, kept from pruning."""
        told = b"".join(b"%o %s\0" % (mode, path) for path, mode in sorted(modes.items()))
        if (known := self._named.get((files, told))) is not None:
            return known
        blob = (await git.run("hash-object", "-w", "--stdin", given=told)).out.strip()
        both = b"040000 tree %s\tfiles\0" % files.encode() + b"100644 blob %s\tmodes\0" % blob
        tree = (await git.run("mktree", "-z", given=both)).out.strip().decode()
        await git.run("update-ref", f"refs/snapshots/{day}-{tree}", tree)
        self._named = {(files, told): tree}
        return tree

    async def changed(self, step: Step) -> tuple[bytes, ...]:
        """The paths in which the two trees of a step differ; both must be known.

        Raises:
            SnapshotFailed: the store does not have them any more.
        """
        async with self._shadow.held() as git:
            return tuple(sorted(await _difference(git, step.before, step.after or step.before)))

    async def restore(
        self, steps: Sequence[Step], day: str, begin: Callable[[str], Awaitable[None]] = _nobody
    ) -> Restored:
        """Undo steps, given oldest first: every path that they changed is as it was before the first that did.

        Args:
            begin: is told the tree of the files as they are, before the first of them is touched; of none, it is not.

        Raises:
            SnapshotFailed: nothing was touched; or, with a full disk, some paths: the same call again goes on.
        """
        async with self._shadow.held() as git:
            before = await self._take(git, day)
            wanted: dict[bytes, Entry | None] = {}
            expected: dict[bytes, Entry | None] = {}
            later = before.tree
            for step in reversed(steps):
                later = step.after or later
                for path, (old, new) in (await _difference(git, step.before, later)).items():
                    wanted[path] = old
                    expected.setdefault(path, new)
                later = step.before
            now = await _entries(git, before.tree)
            plan = restoring.plan(self._root, now, wanted)
            if plan.write or plan.remove:
                await begin(before.tree)
            done, left = await restoring.carry_out(git, self._root, plan)
            left = [*plan.left, *left]
            after = await self._take(git, day)
        since = tuple(path for path in done if now.get(path) != expected[path])
        return Restored(before, after, tuple(done), since, tuple(left))

    async def export(self, tree: str, folder: Path) -> tuple[LeftOut, ...]:
        """Write the files of a snapshot into another, empty folder; gives what could not be written.

        Raises:
            SnapshotFailed: the store does not have it any more.
        """
        async with self._shadow.held() as git:
            entries = await _entries(git, tree)
            _, left = await restoring.carry_out(git, os.fsencode(folder), restoring.Plan(write=entries))
        return tuple(left)

    def stale(self, day: str) -> bool:
        """Whether nothing was pruned yet that day."""
        return self._shadow.pruned() != day

    async def prune(self, needed: Iterable[str], before: str) -> None:
        """Remove what no journal needs. Runs beside snapshots; git's own grace of a day makes that safe.

        Args:
            needed: trees that journals name.
            before: "YYYYMMDD"; snapshots of that day and later stay, for their journals may not name them yet.
        """
        git, keep = self._shadow.free(), set(needed)
        self._shadow.mark_pruned(before)
        listed = await git.run("for-each-ref", "--format=%(refname)", "refs/snapshots/", worktree=False)
        refs = [line for line in listed.out.decode().splitlines() if _old(line, keep, before)]
        orders = b"".join(b"delete %s\n" % ref.encode() for ref in refs)
        await git.run("update-ref", "--stdin", given=orders, worktree=False)
        await git.run("gc", "--quiet", "--prune=1.day.ago", worktree=False)


def _old(ref: str, keep: set[str], before: str) -> bool:
    day, _, tree = ref.rpartition("/")[2].partition("-")
    return day < before and tree not in keep


def _lines(paths: Iterable[bytes]) -> bytes:
    return b"".join(path + b"\0" for path in paths)


def _unlisted(told: str) -> list[LeftOut]:
    """Folders that git could not list."""
    begin = "warning: could not open directory '"
    lines = [line.removeprefix(begin).partition("':")[0] for line in told.splitlines() if line.startswith(begin)]
    return [LeftOut(line.encode(), "a folder that cannot be read") for line in lines]


async def _difference(git: Git, before: str, after: str) -> dict[bytes, tuple[Entry | None, Entry | None]]:
    """The paths in which two snapshots differ, each with its two sides."""
    if before == after:
        return {}
    old_modes, new_modes = await _modes(git, before), await _modes(git, after)
    listed = await git.run(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", f"{before}:files", f"{after}:files", worktree=False
    )
    found: dict[bytes, tuple[Entry | None, Entry | None]] = {}
    fields = iter(listed.out.split(b"\0")[:-1])
    for head, path in zip(fields, fields, strict=True):
        old_mode, new_mode, old, new, _ = head.lstrip(b":").split(b" ")
        found[path] = (
            Entry.of(old_mode, old, old_modes.get(path)),
            Entry.of(new_mode, new, new_modes.get(path)),
        )
    moved = {path for path in {*old_modes, *new_modes} if old_modes.get(path) != new_modes.get(path)} - set(found)
    if moved:
        one, two = await _entries(git, before), await _entries(git, after)
        found |= {path: (one.get(path), two.get(path)) for path in moved if path in one and path in two}
    return found


async def _entries(git: Git, tree: str) -> dict[bytes, Entry]:
    """Everything that a snapshot holds."""
    modes = await _modes(git, tree)
    listed = await git.run("ls-tree", "-r", "-z", f"{tree}:files", worktree=False)
    found = {}
    for record in listed.out.split(b"\0")[:-1]:
        head, _, path = record.partition(b"\t")
        mode, _, name = head.split(b" ")
        if (entry := Entry.of(mode, name, modes.get(path))) is not None:
            found[path] = entry
    return found


async def _modes(git: Git, tree: str) -> dict[bytes, int]:
    try:
        told = (await git.run("cat-file", "blob", f"{tree}:modes", worktree=False)).out
    except GitFailed as failure:
        raise SnapshotFailed(
            f"the snapshot {tree[:12]} is no longer in the store; its files cannot be put back"
        ) from failure
    pairs = (record.partition(b" ") for record in told.split(b"\0")[:-1])
    return {path: int(mode, 8) for mode, _, path in pairs}
