"""The documents' environment: installed whole or not at all, once, whatever comes in between."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from harness.documents import environment, folders
from harness.documents.folders import Folders
from harness.errors import DocumentError

ROOT = Path(__file__).resolve().parents[2]
INSTALL = (
    "import os, sys; from pathlib import Path; from harness.documents import environment, folders;"
    "kept = folders.folders(os.environ);"
    "print(environment.ready(kept, Path(sys.argv[1]), os.environ, lambda text: print('installing')))"
)


@pytest.fixture
def kept(isolation: Path) -> Folders:
    return folders.folders({"HOME": str(isolation)})


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    """Requirements without any: an installation that needs no network."""
    path = tmp_path / "nothing.txt"
    path.write_text("# nothing\n")
    return path


def install(kept: Folders, listed: Path, **more: str) -> tuple[Path, list[str]]:
    """The interpreter, and what was said on the way."""
    said: list[str] = []
    return environment.ready(kept, listed, {**os.environ, **more}, said.append), said


def test_it_is_installed_once(kept: Folders, nothing: Path) -> None:
    python, said = install(kept, nothing)

    command = [str(python), "-c", "import sys; print(sys.prefix)"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert Path(told.strip()) == python.parent.parent
    assert said == ["installing the document libraries (once; about half a minute) ..."]
    assert install(kept, nothing) == (python, [])


def test_another_list_is_another_environment_and_few_are_kept(kept: Folders, nothing: Path) -> None:
    made = []
    for number in range(5):
        nothing.write_text(f"# {number}\n")
        python, _ = install(kept, nothing)
        made.append(python.parent.parent)
        os.utime(made[-1], (number, number))

    assert sorted(kept.data.glob("environment-*")) == sorted(made[2:])


def test_an_interrupted_installation_is_redone(kept: Folders, nothing: Path) -> None:
    name = f"environment-{environment.digest(nothing.read_bytes())[:16]}"
    left = kept.data / f"{name}.part-abc" / "bin"
    left.mkdir(parents=True)
    (left / "python").symlink_to(sys.executable)

    python, said = install(kept, nothing)

    assert python.parent.parent.name == name
    assert len(said) == 1
    assert not left.exists()


def test_an_environment_whose_interpreter_is_gone_is_made_anew(kept: Folders, nothing: Path) -> None:
    python, _ = install(kept, nothing)
    python.unlink()
    python.symlink_to("gone")

    again, said = install(kept, nothing)

    assert (again, len(said)) == (python, 1)
    assert python.exists()


def test_two_processes_at_once_install_once(kept: Folders, nothing: Path, isolation: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", INSTALL, str(nothing)],
            env={"HOME": str(isolation), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [one.communicate(timeout=60)[0].split() for one in running]

    assert [one.returncode for one in running] == [0, 0, 0]
    assert len({words[-1] for words in said}) == 1
    assert sum("installing" in words for words in said) == 1
    assert len(list(kept.data.glob("environment-*"))) == 1


def test_without_a_network_it_is_one_line_and_nothing_stays(kept: Folders, tmp_path: Path) -> None:
    listed = tmp_path / "listed.txt"
    listed.write_text(f"nothing-like-it==1.0 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(DocumentError) as caught:
        install(kept, listed, PIP_NO_INDEX="1", PIP_FIND_LINKS="", UV_OFFLINE="1")

    said = str(caught.value)
    assert said.startswith("the document libraries could not be installed: ")
    assert "nothing-like-it" in said
    assert said.endswith("with a network, run: harness documents install")
    assert "\n" not in said
    assert list(kept.data.glob("environment-*")) == []


@pytest.mark.parametrize("sound", [True, False])
def test_only_what_is_as_hashed_is_installed(sound: bool, kept: Folders, tmp_path: Path) -> None:
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    listed = tmp_path / "listed.txt"
    listed.write_text(f"tiny==1.0 --hash=sha256:{sha256(wheel.read_bytes()).hexdigest() if sound else '0' * 64}\n")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(tmp_path)}

    if sound:
        python, _ = install(kept, listed, **offline)
        assert subprocess.run([python, "-c", "import tiny"], check=False).returncode == 0
    else:
        with pytest.raises(DocumentError, match=r"could not be installed: .*(?i:hash)"):
            install(kept, listed, **offline)


def test_a_damaged_environment_is_found_by_trying_it(kept: Folders, python: Path, nothing: Path) -> None:
    empty, _ = install(kept, nothing)
    said: list[str] = []

    assert not environment._imports(empty)
    assert environment._imports(python)
    with pytest.raises(DocumentError):
        environment.ready(kept, unreachable(nothing), {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}, said.append, tried=True)
    assert len(said) == 1


def unreachable(listed: Path) -> Path:
    listed.write_text(f"nothing-like-it==1.0 --hash=sha256:{'0' * 64}\n")
    return listed


def test_folders_that_cannot_be_made_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DocumentError, match=r"cannot write .*file/harness/documents: Not a directory; .*XDG_DATA_HOME"):
        folders.folders({"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "file")})
    with pytest.raises(DocumentError, match="XDG_CACHE_HOME"):
        folders.folders({"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "file")})


def test_the_list_names_no_host_and_has_a_hash_for_each() -> None:
    text = environment.requirements().read_text()
    entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

    assert "://" not in text
    assert not any(option in text for option in ("--index-url", "--find-links", "--extra-index-url"))
    assert [line for line in entries if not line.endswith("\\")] == []
    assert {line.partition("==")[0] for line in entries} >= {"pypdf", "python-docx", "openpyxl", "python-pptx"}
