"""The wheel works where the checkout is not."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from harness import __version__

ROOT = Path(__file__).resolve().parents[2]

SHIPPED = [
    "harness/prompt/system.md",
    "harness/providers/catalog.toml",
    "harness/providers/facts.toml",
    "harness/bundled_skills/commit/SKILL.md",
    "harness/bundled_skills/documents/SKILL.md",
    "harness/bundled_skills/documents/requirements.txt",
    "harness/bundled_skills/documents/scripts/excel_to_text.py",
    "harness/bundled_skills/documents/scripts/pdf_to_text.py",
    "harness/bundled_skills/documents/scripts/powerpoint_to_text.py",
    "harness/bundled_skills/documents/scripts/sections.py",
    "harness/bundled_skills/documents/scripts/word_to_text.py",
    "harness/bundled_skills/explore/SKILL.md",
    "harness/bundled_skills/new-project/SKILL.md",
    "harness/bundled_skills/recall/SKILL.md",
    "harness/bundled_skills/remember/SKILL.md",
    "harness/bundled_skills/repair-skill/SKILL.md",
    "harness/bundled_skills/review/SKILL.md",
    "harness/bundled_skills/skill-creator/SKILL.md",
    f"harness-{__version__}.data/data/share/doc/harness/SOUL.md.example",
    f"harness-{__version__}.data/data/share/doc/harness/USER.md.example",
    f"harness-{__version__}.dist-info/licenses/LICENSE",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # The backend itself: no installer, no network.
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment with the wheel, and the dependencies of this one."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    if importlib.util.find_spec("pip"):
        install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index"]
    else:
        uv = shutil.which("uv")
        assert uv, "neither pip nor uv is there"
        install = [uv, "pip", "install", "--quiet", "--offline", "--python", str(python)]
    done = subprocess.run([*install, "--no-deps", str(wheel)], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # A path in a .pth is only searched: the .pth files in that folder, so the checkout, do not count.
    (site,) = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


def run(installed: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    # `rg` came with the dependencies.
    environment["PATH"] = os.pathsep.join(
        [str(installed), environment.get("PATH", os.defpath), sysconfig.get_path("scripts")]
    )
    return subprocess.run(
        [str(installed / command[0]), *command[1:]],
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
        stdin=subprocess.DEVNULL,
    )


def test_the_wheel_ships_what_is_not_code(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert [wanted for wanted in SHIPPED if wanted not in names] == []
    assert [name for name in names if name.startswith(("tests/", "skills/", "scripts/"))] == []


def test_version(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "harness", "--version", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


def test_demo(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "harness", "demo", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_bundled_skill_is_read_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from harness.knowledge import skills; here = Path.cwd();"
        "skill = skills.load('review', here, here / 'config'); print(skill.path); print(skill.body)"
    )

    done = run(installed, "python", "-c", script, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    path, _, body = done.stdout.partition("\n")
    assert Path(path).is_relative_to(installed.parent)
    assert body.startswith("# Review a change")
