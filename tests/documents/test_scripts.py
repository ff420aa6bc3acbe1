"""The person's copies of the scripts, through repairs and upgrades."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.documents import folders, scripts
from harness.documents.folders import Folders
from harness.documents.scripts import NAMES, copies, reset
from harness.errors import DocumentError, UsageError

NAME = "pdf_to_text.py"


@pytest.fixture
def kept(isolation: Path) -> Folders:
    return folders.folders({"HOME": str(isolation)})


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """The scripts as a version brings them; a test may bring out another version."""
    folder = tmp_path / "shipped"
    shutil.copytree(scripts.shipped_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def change(path: Path, text: str) -> bytes:
    path.write_bytes(path.read_bytes() + text.encode())
    return path.read_bytes()


def test_the_first_use_makes_the_copies(kept: Folders, shipped: Path) -> None:
    made = copies(kept, shipped)

    assert tuple(made) == NAMES
    assert {path.name for path in shipped.iterdir()} == set(NAMES)
    for name, script in made.items():
        assert script.path == kept.scripts / name
        assert script.path.read_bytes() == (shipped / name).read_bytes() == script.source
        assert script.path.stat().st_mode & 0o777 == 0o600
        assert script.note() == ""


def test_an_upgrade_replaces_what_was_not_repaired(kept: Folders, shipped: Path) -> None:
    copies(kept, shipped)
    newer = change(shipped / NAME, "# 2\n")

    made = copies(kept, shipped)

    assert made[NAME].path.read_bytes() == newer == made[NAME].source
    assert [script.note() for script in made.values()] == [""] * len(NAMES)


def test_an_upgrade_keeps_what_was_repaired_and_says_so(kept: Folders, shipped: Path) -> None:
    mine = change(copies(kept, shipped)[NAME].path, "# mine\n")
    assert copies(kept, shipped)[NAME].note() == f"{NAME} is your repaired copy"

    change(shipped / NAME, "# 2\n")
    for _ in range(2):  # said every time
        made = copies(kept, shipped)[NAME]
        assert made.source == made.path.read_bytes() == mine
        assert made.note().startswith(
            f"{NAME} is your repaired copy, kept although this version brings a new one: diff"
        )
        assert made.note().endswith(f"harness documents reset {NAME}")
    # the upgrade brought nothing new for it: nothing to say but that it is repaired
    (shipped / NAME).write_bytes(scripts.shipped_folder().joinpath(NAME).read_bytes())
    assert copies(kept, shipped)[NAME].note() == f"{NAME} is your repaired copy"


def test_a_repair_that_became_the_shipped_script_is_none_any_more(kept: Folders, shipped: Path) -> None:
    mine = change(copies(kept, shipped)[NAME].path, "# mine\n")
    (shipped / NAME).write_bytes(mine)
    assert copies(kept, shipped)[NAME].note() == ""

    newer = change(shipped / NAME, "# 3\n")
    assert copies(kept, shipped)[NAME].source == newer


def test_a_reset_takes_the_shipped_script_and_keeps_the_persons(kept: Folders, shipped: Path) -> None:
    mine = change(copies(kept, shipped)[NAME].path, "# mine\n")
    newer = change(shipped / NAME, "# 2\n")

    beside = reset(NAME, kept, shipped)

    assert beside is not None
    assert beside.read_bytes() == mine
    assert copies(kept, shipped)[NAME].source == newer
    assert copies(kept, shipped)[NAME].note() == ""
    assert reset(NAME, kept, shipped) is None
    change(kept.scripts / NAME, "# again\n")
    assert reset(NAME, kept, shipped) not in (None, beside)
    assert beside.read_bytes() == mine


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pdf_to_text.py": 3}'])
def test_where_the_record_is_lost_a_changed_copy_counts_as_the_persons(text: str, kept: Folders, shipped: Path) -> None:
    copies(kept, shipped)
    old = (kept.scripts / NAME).read_bytes()
    (kept.data / "origins.json").write_text(text)
    change(shipped / NAME, "# 2\n")

    made = copies(kept, shipped)

    assert made[NAME].source == old
    assert made[NAME].behind
    assert json.loads((kept.data / "origins.json").read_text()).keys() == set(NAMES) - {NAME}


def test_a_copy_that_was_removed_comes_back(kept: Folders, shipped: Path) -> None:
    copies(kept, shipped)
    (kept.scripts / NAME).unlink()

    assert copies(kept, shipped)[NAME].note() == ""
    assert (kept.scripts / NAME).exists()


def test_a_copy_that_is_no_file_is_said(kept: Folders, shipped: Path) -> None:
    path = copies(kept, shipped)[NAME].path
    path.unlink()
    path.mkdir()
    with pytest.raises(DocumentError, match=f"{NAME} is a directory; remove it"):
        copies(kept, shipped)
    path.rmdir()
    path.symlink_to("nowhere")
    with pytest.raises(DocumentError, match=f"{NAME} is a symlink to nothing; remove it"):
        copies(kept, shipped)
    path.unlink()
    path.write_bytes(b"#" * 2_000_000)
    with pytest.raises(DocumentError, match=f"{NAME} is larger than 1 MB"):
        copies(kept, shipped)


def test_only_a_script_can_be_reset(kept: Folders, shipped: Path) -> None:
    with pytest.raises(UsageError, match=r"no script `\.\./a`; there is: sections\.py"):
        reset("../a", kept, shipped)
