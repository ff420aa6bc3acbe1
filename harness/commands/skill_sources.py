"""Where a skill is added from: a folder, a .zip file or a git repository, brought into a folder of ours as it is.

Invariant: nothing of it is run: no hook, no filter that it brings, no submodule, no program that a URL names; no file
lands outside the folder, and files, bytes and time are bounded.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from harness.errors import SkillError

MAX_ARCHIVE_BYTES = 50 * 1024 * 1024
MAX_ENTRIES = 5000
MAX_UNPACKED_BYTES = 100 * 1024 * 1024
GIT_SECONDS = 120.0

_URL = re.compile(r"(https|ssh|file)://\S+\Z")
_SCP = re.compile(r"[A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*:[^\s:]\S*\Z")
_OTHER_URL = re.compile(r"[A-Za-z][\w+.-]*:(?::|//)")
_SETTINGS = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=true", "submodule.recurse=false"),
    *("protocol.allow=never", "protocol.ext.allow=never", "protocol.https.allow=always"),
    *("protocol.ssh.allow=always", "protocol.file.allow=always", "init.templateDir="),
)


def is_url(source: str) -> bool:
    """Whether a source is fetched by git.

    Raises:
        SkillError: it is a URL of a kind that is not fetched.
    """
    if _URL.match(source) or (_SCP.match(source) and not source.startswith("-")):
        return True
    if _OTHER_URL.match(source):
        raise SkillError(f"{source:.200}: only https://, ssh:// and file:// URLs of git repositories are fetched")
    return False


def bring(source: str, path: Path, to: Path, ref: str, environment: Mapping[str, str]) -> Path:
    """Bring a source to the empty folder `to`, or leave it where it is; gives the folder that holds it.

    Args:
        path: the source as a path, for what is no URL.
        ref: a branch or tag of a git repository; "": its default.

    Raises:
        SkillError: it is not there, or it is refused.
    """
    if is_url(source):
        _clone(source, to, ref, environment)
        return to
    if ref:
        raise SkillError("--ref is for a git repository")
    if path.is_dir():
        return path
    if path.suffix.lower() in (".zip", ".skill") and path.is_file():
        _unpack(path, to)
        return to
    if not os.path.lexists(path):
        raise SkillError(f"{source:.200}: no such folder or .zip file")
    raise SkillError(f"{source:.200}: neither a folder nor a .zip file nor a git URL")


# ------------------------------------------------------------------------------------------------ zip


def _unpack(archive: Path, to: Path) -> None:
    if archive.stat().st_size > MAX_ARCHIVE_BYTES:
        raise SkillError(f"{archive.name}: larger than {MAX_ARCHIVE_BYTES // 2**20} MB")
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if len(entries) > MAX_ENTRIES:
                raise SkillError(f"{archive.name}: more than {MAX_ENTRIES} entries")
            left, seen = MAX_UNPACKED_BYTES, set[str]()
            for entry in entries:
                target = to / _inside(entry, seen)
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    left -= _extract(opened, entry, target, left)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SkillError(f"{archive.name}: not a usable .zip file: {error}") from error
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise SkillError(f"{archive.name}: cannot be unpacked: {what}") from error


def _inside(entry: zipfile.ZipInfo, seen: set[str]) -> PurePosixPath:
    """The path of an entry, relative and without a way out.

    Raises:
        SkillError: it has none, is a link or a device, or stands twice.
    """
    name = entry.filename
    path = PurePosixPath(name)
    shown = name.encode("unicode_escape").decode()[:200]
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise SkillError(f"the entry {shown} is a link or a device")
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name or not path.parts:
        raise SkillError(f"the entry {shown} leads out of the archive")
    if len(path.parts) > 32 or len(name) > 1000:
        raise SkillError(f"the entry {shown} is too deep")
    # on some file systems two that differ in case are one
    key = "/".join(path.parts).casefold()
    if key in seen:
        raise SkillError(f"the entry {shown} stands twice")
    seen.add(key)
    return path


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, target.open("xb") as file:
        # what the entry says of its size is a claim
        while piece := source.read(64 * 1024):
            written += len(piece)
            if written > left:
                raise SkillError(f"more than {MAX_UNPACKED_BYTES // 2**20} MB unpacked")
            file.write(piece)
    if (entry.external_attr >> 16) & stat.S_IXUSR:
        target.chmod(0o755)
    return written


# ------------------------------------------------------------------------------------------------ git


def _clone(url: str, to: Path, ref: str, environment: Mapping[str, str]) -> None:
    git = shutil.which("git", path=environment.get("PATH", ""))
    if git is None:
        raise SkillError("git is not installed; clone the repository elsewhere and add its folder")
    if ref.startswith("-"):
        raise SkillError(f"--ref {ref:.80}: no such branch or tag")
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    branch = ["--branch", ref] if ref else []
    options = ["--quiet", "--depth", "1", "--single-branch", "--no-tags", "--no-recurse-submodules", "--template="]
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "GIT_PROTOCOL_FROM_USER": "1", "LC_ALL": "C"}
    ssh = {} if "GIT_SSH_COMMAND" in environment else {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    # whatever repository the person stands in must not be the one that is written to
    outer = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_OBJECT_DIRECTORY"}
    kept = {name: value for name, value in environment.items() if name not in outer}
    process = subprocess.Popen(
        [git, *settings, "clone", *options, *branch, "--", url, str(to)],
        env=kept | quiet | ssh,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=GIT_SECONDS)
    except BaseException as error:
        # its children too: a transport may be waiting for the network
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise SkillError(f"git took longer than {GIT_SECONDS:g} s") from None
        raise
    if process.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        raise SkillError(f"git: {lines[-1] if lines else f'exit code {process.returncode}'}")
