"""Rules files: found, ordered, bounded, and harmless whatever is in them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from harness.knowledge.project import (
    MAX_RULE_BYTES,
    MAX_RULES_BYTES,
    MAX_SOUL_BYTES,
    MAX_USER_BYTES,
    find_root,
    rule_files,
    soul_file,
    user_file,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    (path / ".git").mkdir(parents=True)
    return path


def test_root_is_the_git_top(root: Path) -> None:
    below = root / "a" / "b"
    below.mkdir(parents=True)

    assert find_root(below) == root.resolve()


def test_root_of_a_worktree_where_git_is_a_file(root: Path) -> None:
    tree = root / "tree"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: elsewhere\n")

    assert find_root(tree) == tree.resolve()


def test_without_git_the_root_is_the_working_folder(tmp_path: Path) -> None:
    assert find_root(tmp_path) == tmp_path.resolve()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_git_folder_of_somebody_else_is_not_the_top(root: Path) -> None:
    below = root / "a"
    below.mkdir()
    os.chown(root / ".git", 4321, 4321)

    assert find_root(below) == below.resolve()


def test_rules_from_the_root_down(root: Path) -> None:
    here = root / "a" / "b"
    here.mkdir(parents=True)
    (root / "AGENTS.md").write_text("root\n")
    (root / "CLAUDE.md").write_text("not read: there is an AGENTS.md\n")
    (root / "a" / "CLAUDE.md").write_text("a\n")
    (here / "AGENTS.md").write_text("b\n")
    (root / "other").mkdir()
    (root / "other" / "AGENTS.md").write_text("not on the way\n")

    found = rule_files(root, here)

    assert [(rule.path, rule.text, rule.size) for rule in found] == [
        ("AGENTS.md", "root", 5),
        ("a/CLAUDE.md", "a", 2),
        ("a/b/AGENTS.md", "b", 2),
    ]
    assert found[1].sha256 == hashlib.sha256(b"a").hexdigest()
    assert str(root) not in repr(found)


def test_the_result_is_the_same_in_another_place(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        here = tmp_path / name / "sub"
        here.mkdir(parents=True)
        (tmp_path / name / ".git").mkdir()
        (tmp_path / name / "AGENTS.md").write_text("x\n" * 9000)
        found.append(rule_files(tmp_path / name, here))

    assert found[0] == found[1]


def test_a_long_file_is_cut_at_a_line_end_with_a_note(root: Path) -> None:
    text = "".join(f"rule number {number}\n" for number in range(2000))
    (root / "AGENTS.md").write_text(text)
    (root / "sub").mkdir()

    (rule,) = rule_files(root, root / "sub")

    *lines, note = rule.text.split("\n")
    assert len(rule.text.encode()) <= MAX_RULE_BYTES
    assert len(rule.text.encode()) > MAX_RULE_BYTES - 100
    assert text.startswith("\n".join(lines) + "\n")
    left = len(text) - len("\n".join(lines)) - 1
    assert note == f"[cut: {left} more bytes; read ../AGENTS.md]"
    assert rule.size == len(text)


def test_a_single_endless_line_is_cut_between_characters(root: Path) -> None:
    (root / "AGENTS.md").write_text("ä" * 50_000)

    (rule,) = rule_files(root, root)

    assert rule.text.startswith("ää")
    assert len(rule.text.encode()) <= MAX_RULE_BYTES
    assert "[cut: " in rule.text
    assert "\ufffd" not in rule.text


def test_all_files_together_are_bounded(root: Path) -> None:
    here = root
    for _ in range(40):
        (here / "AGENTS.md").write_text("a rule that is repeated\n" * 1000)
        here = here / "deeper"
        here.mkdir()

    found = rule_files(root, here)

    assert sum(len(rule.text.encode()) for rule in found) <= MAX_RULES_BYTES
    assert all("[cut: " in rule.text for rule in found)
    assert found[0].path == "AGENTS.md"
    assert len(found) > 3


def test_exactly_at_the_limit_nothing_is_cut(root: Path) -> None:
    (root / "AGENTS.md").write_text("x" * MAX_RULE_BYTES)

    (rule,) = rule_files(root, root)

    assert rule.text == "x" * MAX_RULE_BYTES


def test_a_fifo_is_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "AGENTS.md")

    (rule,) = rule_files(root, root)

    assert rule.text == "[not read: not a regular file]"


def test_a_folder_is_refused(root: Path) -> None:
    (root / "AGENTS.md").mkdir()

    (rule,) = rule_files(root, root)

    assert rule.text == "[not read: not a regular file]"


@pytest.mark.parametrize("target", ["../secret", "/etc/hostname", "loop"])
def test_a_symlink_that_leaves_the_root_is_refused(root: Path, target: str) -> None:
    (root.parent / "secret").write_text("secret")
    (root / "loop").symlink_to("loop")
    (root / "AGENTS.md").symlink_to(target)

    (rule,) = rule_files(root, root)

    assert rule.text.startswith("[not read: ")
    assert "secret" not in rule.text


def test_a_symlink_inside_the_root_is_followed(root: Path) -> None:
    (root / "docs").mkdir()
    (root / "docs" / "rules.md").write_text("the rules")
    (root / "AGENTS.md").symlink_to("docs/rules.md")

    (rule,) = rule_files(root, root)

    assert rule.text == "the rules"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"a\x00b", r"a\x00b"),
        (b"\x1b[2Jx", r"\x1b[2Jx"),
        ("a\u202eb\u2066".encode(), r"a\u202eb\u2066"),
        ("hid\U000e0041den".encode(), r"hid\U000e0041den"),
        ("zero\u200bwidth".encode(), r"zero\u200bwidth"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"\xef\xbb\xbfone\r\ntwo\r\n", "one\ntwo"),
        (b"over\rwritten", r"over\x0dwritten"),
        ("👩\u200d💻 größer\tok".encode(), "👩\u200d💻 größer\tok"),
    ],
)
def test_nothing_invisible_gets_through(root: Path, data: bytes, shown: str) -> None:
    (root / "AGENTS.md").write_bytes(data)

    (rule,) = rule_files(root, root)

    assert rule.text == shown


def test_escapes_count_towards_the_cap(root: Path) -> None:
    (root / "AGENTS.md").write_bytes(b"\x00" * 8000)

    (rule,) = rule_files(root, root)

    assert len(rule.text.encode()) <= MAX_RULE_BYTES


def test_braces_in_a_path(root: Path) -> None:
    here = root / "{0}{x}"
    here.mkdir()
    (root / "{0}{x}" / "AGENTS.md").write_text("line\n" * 5000)

    (rule,) = rule_files(root, here)

    assert rule.text.endswith("more bytes; read AGENTS.md]")


def test_empty_files_are_left_out(root: Path) -> None:
    (root / "AGENTS.md").write_text("\n\n")

    assert rule_files(root, root) == ()


def test_the_notes_of_the_person(tmp_path: Path) -> None:
    assert user_file(tmp_path) is None

    (tmp_path / "USER.md").write_text("I like tests.\n")
    assert user_file(tmp_path) is not None

    (tmp_path / "USER.md").write_text("I like tests.\n" * 1000)
    notes = user_file(tmp_path)
    assert notes is not None
    assert len(notes.text.encode()) <= MAX_USER_BYTES
    assert notes.path == "USER.md"
    assert str(tmp_path) not in notes.text


def test_the_tone_is_capped_and_names_where_the_rest_is(tmp_path: Path) -> None:
    assert soul_file(tmp_path) is None
    (tmp_path / "SOUL.md").write_text("Plain words.\n" * 400)
    found = soul_file(tmp_path)

    assert found is not None
    assert len(found.text.encode()) <= MAX_SOUL_BYTES
    assert found.text.endswith("more bytes; read SOUL.md of the configuration folder]")
