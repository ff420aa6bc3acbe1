"""scripts/install and the locks: what can be proved without fetching anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("bash", "env", "uname", "cat", "sha256sum", "shasum", "perl", "dirname", "rm")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that scripts/install reads, and a `bin` with nothing but what it runs."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tree)
    (tree / "bin").mkdir()
    for name in NEEDED:
        if found := shutil.which(name):
            (tree / "bin" / name).symlink_to(found)
    return tree


def program(tree: Path, name: str, script: str) -> None:
    path = tree / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def install(tree: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tree / "scripts" / "install"), *arguments],
        env={"PATH": str(tree / "bin"), "HOME": os.environ["HOME"], **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_old_python_is_one_line(tree: Path) -> None:
    program(tree, "python3", 'case "$1" in -V) echo Python 3.9.2;; *) exit 1;; esac')

    done = install(tree)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "harness needs Python 3.11 or later; python3 is: Python 3.9.2.\n"


def test_no_python_is_one_line(tree: Path) -> None:
    done = install(tree, PYTHON="no-such-python")

    assert done.returncode == 2
    assert done.stderr.startswith("harness needs Python 3.11 or later; no-such-python is: ")
    assert done.stderr.count("\n") == 1


def test_without_ensurepip_and_uv_the_package_is_named(tree: Path) -> None:
    program(tree, "python3", f'case "$2" in "import ensurepip"*) exit 1;; *) exec {sys.executable} "$@";; esac')

    done = install(tree)

    assert done.returncode == 2
    assert f"install the package python3.{sys.version_info.minor}-venv" in done.stderr
    assert done.stderr.count("\n") == 1


def test_on_windows_wsl_is_named(tree: Path) -> None:
    (tree / "bin" / "uname").unlink()
    program(tree, "uname", "echo MINGW64_NT-10.0")

    done = install(tree)

    assert done.returncode == 2
    assert "WSL" in done.stderr


def test_wrong_usage(tree: Path) -> None:
    assert install(tree, "--all").returncode == 2


FAKE_PYTHON = """
case "$1$2" in
    -V) echo Python 3.11.0 ;;
    -c*) exit 0 ;;
    -mvenv)
        echo create >>log
        mkdir -p .venv/bin
        cp "$0" .venv/bin/python
        : >.venv/bin/harness
        chmod +x .venv/bin/harness ;;
    -mpip)
        echo "pip $*" >>log
        [ ! -e fail ] || exit 1 ;;
esac
"""


def steps(tree: Path) -> list[str]:
    log = tree / "log"
    text = log.read_text() if log.exists() else ""
    log.unlink(missing_ok=True)
    return [re.sub(r"^pip.* install ", "", line).split(" -r ")[-1] for line in text.splitlines()]


def test_only_what_changed_is_done_again(tree: Path) -> None:
    for name in ("mkdir", "cp", "chmod"):
        (tree / "bin" / name).symlink_to(shutil.which(name) or name)
    program(tree, "python3", FAKE_PYTHON)
    project = "--no-deps --no-build-isolation --editable ."

    (tree / "fail").touch()
    assert install(tree, "--runtime").returncode != 0
    (tree / "fail").unlink()
    assert steps(tree) == ["create", "requirements.lock"]

    # An interrupted run is redone, a finished one is not.
    assert install(tree, "--runtime").returncode == 0
    assert steps(tree) == ["create", "requirements.lock", project]
    assert install(tree, "--runtime").returncode == 0
    assert steps(tree) == []

    # The tools for development come on top, and hold the runtime.
    assert install(tree, "--dev").returncode == 0
    assert steps(tree) == ["requirements-dev.lock", project]
    assert install(tree, "--runtime").returncode == 0
    assert install(tree).returncode == 0
    assert steps(tree) == []

    with (tree / "pyproject.toml").open("a") as file:
        file.write("\n")
    assert install(tree).returncode == 0
    assert steps(tree) == [project]

    with (tree / "requirements-dev.lock").open("a") as file:
        file.write("\n")
    assert install(tree).returncode == 0
    assert steps(tree) == ["create", "requirements-dev.lock", project]

    # A virtual environment holds its own path.
    moved = tree.rename(tree.with_name("moved"))
    assert install(moved).returncode == 0
    assert steps(moved) == ["create", "requirements-dev.lock", project]


def pinned(lock: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ["build"]), ("requirements-dev.lock", ["build", "dev"])]
)
def test_the_lock_is_in_step_with_the_project(lock: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(one for extra in extras for one in project["optional-dependencies"][extra]),
    ]
    versions = pinned(lock)

    for text in wanted:
        requirement = Requirement(text)
        if requirement.name != "harness":
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), text


def test_both_locks_name_one_version_of_everything() -> None:
    runtime, dev = pinned("requirements.lock"), pinned("requirements-dev.lock")

    assert {name: dev.get(name) for name in runtime} == runtime


def test_every_pin_has_a_hash() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text()
        assert not re.search(r"^[a-z][^\n]*==[^\n]*[^\\\n]$", text, re.MULTILINE)
        # by name: one package may have a version for old interpreters and another for new ones
        assert len(pinned(lock)) == len(set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)))
