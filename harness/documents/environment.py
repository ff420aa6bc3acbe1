"""The documents' libraries in an environment of their own: installed once, from hashed requirements.

Invariant: an environment is complete or not there: it is made under another name and renamed when all is in it, under
a lock, so that an interrupted installation is redone and two at once give one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.documents.folders import Folders, locked, unwritable
from harness.errors import DocumentError
from harness.knowledge.skills import bundled_dir

SECONDS = 540
"""For one installation: a command of the model ends after 600."""

_PART = ".part-"
_KEPT = 2
"""Environments of other versions that are kept, newest first: two versions may be in use in turn."""


def requirements() -> Path:
    """The pinned libraries that this version brings."""
    return bundled_dir() / "documents" / "requirements.txt"


def digest(listed: bytes) -> str:
    """What tells an environment from another: libraries and interpreter."""
    return hashlib.sha256(f"{sys.implementation.cache_tag} {sys.platform}\n".encode() + listed).hexdigest()


def ready(
    folders: Folders,
    listed: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    *,
    tried: bool = False,
) -> Path:
    """The interpreter of the environment, installed if it is not there.

    listed: the requirements file. say: gets one line before an installation. tried: import the libraries, and install
    anew where that fails.

    Raises:
        DocumentError: it cannot be installed; says why and what to do.
    """
    folder = folders.data / f"environment-{digest(listed.read_bytes())[:16]}"
    python = folder / "bin" / "python"
    there = _imports if tried else Path.exists
    if there(python):
        return python
    try:
        with locked(folders.data):
            if not there(python):  # another process may have been first
                say("installing the document libraries (once; about half a minute) ...")
                _install(folders.data, folder, listed, environment)
    except OSError as error:
        raise unwritable(error, folders.data, "XDG_DATA_HOME") from None
    return python


def _imports(python: Path) -> bool:
    """Whether the environment has what the scripts import."""
    command = [str(python), "-I", "-B", "-c", "import cryptography, defusedxml, docx, openpyxl, pptx, pypdf"]
    return python.exists() and not subprocess.run(command, capture_output=True, check=False, timeout=SECONDS).returncode


def _install(data: Path, folder: Path, listed: Path, environment: Mapping[str, str]) -> None:
    for left in data.glob(f"environment-*{_PART}*"):
        shutil.rmtree(left, ignore_errors=True)  # of an installation that was interrupted
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}{_PART}", dir=data))
    try:
        venv.create(part, with_pip=False, symlinks=True)
        _fetch(part, listed, environment)
        if os.path.lexists(folder):
            shutil.rmtree(folder)  # its interpreter is gone, or it was damaged by hand
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    others = [other for other in data.glob("environment-*") if other != folder and _PART not in other.name]
    for other in sorted(others, key=lambda path: path.lstat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(other, ignore_errors=True)


def _fetch(part: Path, listed: Path, environment: Mapping[str, str]) -> None:
    """Installs with the pip beside this program, with uv, or with the pip that Python brings along."""
    python = str(part / "bin" / "python")
    options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--requirement", str(listed)]
    quick = ["--no-input", "--disable-pip-version-check", "--retries", "2"]
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-I", "-m", "pip", "--python", python, "install", *quick, *options]
    elif uv := shutil.which("uv", path=environment.get("PATH")):
        command = [uv, "pip", "install", "--python", python, *options]
    elif importlib.util.find_spec("ensurepip"):
        _run([python, "-I", "-m", "ensurepip", "--default-pip"], part, environment)
        command = [python, "-I", "-m", "pip", "install", *quick, *options]
    else:
        minor = ".".join(map(str, sys.version_info[:2]))
        raise DocumentError(
            f"the document libraries need pip or uv, and neither is there; install uv or the package "
            f"python{minor}-venv, then: harness documents install"
        )
    _run(command, part, environment)


def _run(command: list[str], part: Path, environment: Mapping[str, str]) -> None:
    # pip's output to a file: a pipe that nobody reads would stop it
    log = part / "install.log"
    settings = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_REQUIRE_VIRTUALENV": "0"}
    with log.open("wb") as output:
        try:
            code = subprocess.run(
                command,
                cwd=part,
                env={**environment, **settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise DocumentError(_failed(f"not done after {SECONDS} s")) from None
    if code:
        raise DocumentError(_failed(_last_error(log)))


def _failed(why: str) -> str:
    return (
        f"the document libraries could not be installed: {why}; they come from the package index, once: "
        "with a network, run: harness documents install"
    )


def _last_error(log: Path) -> str:
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    wrong = [line for line in lines if re.match(r"\W*error\b", line, re.IGNORECASE)] or lines[-1:]
    return " ".join(wrong[-1].split())[:200] if wrong else "the installer said nothing"
