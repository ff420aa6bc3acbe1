"""Memory: found, bounded, said once, and harmless whatever is in it."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from harness.knowledge import memory, memory_check
from harness.knowledge import memory_lines as lines
from harness.knowledge.run_memory import RunMemory
from harness.knowledge.skills import bundled_dir

TAG = "\U000e0041"
"""A tag character: text that no person sees."""


@pytest.fixture
def kept(tmp_path: Path) -> RunMemory:
    (tmp_path / "project" / ".harness" / "memory").mkdir(parents=True)
    (tmp_path / "config" / "memory").mkdir(parents=True)
    return RunMemory(tmp_path / "project", tmp_path / "config")


def own(kept: RunMemory, name: str, text: str | bytes) -> Path:
    path = kept.config_dir / "memory" / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def theirs(kept: RunMemory, name: str, text: str) -> Path:
    path = kept.root / ".harness" / "memory" / name
    path.write_text(text)
    return path


def index(kept: RunMemory) -> list[str]:
    return [found.index() for found in kept.read()]


def whats(kept: RunMemory) -> list[str]:
    return [f"{one.path.name}:{one.line} {one.what}" for found in kept.read() for one in memory_check.check(found)]


def test_one_line_for_each_topic_by_name(kept: RunMemory) -> None:
    own(kept, "zoo.md", "\n\n## Animals  here\n- a lion\n")
    own(kept, "editor.md", "Tabs, not spaces\n")
    theirs(kept, "deploy.md", "# How it is shipped\n")
    os.utime(kept.config_dir / "memory" / "zoo.md", (1, 1))

    assert index(kept) == ["- editor: Tabs, not spaces\n- zoo: Animals here", "- deploy: How it is shipped"]
    assert whats(kept) == []


def test_no_folders_are_no_memory(tmp_path: Path) -> None:
    assert index(RunMemory(tmp_path / "a", tmp_path / "b")) == ["", ""]


def test_hostile_files_are_one_clear_line_each(kept: RunMemory, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the key")
    folder = kept.root / ".harness" / "memory"
    (folder / "out.md").symlink_to(secret)
    os.mkfifo(folder / "pipe.md")
    (folder / "loop.md").symlink_to(folder / "loop.md")
    (folder / "folder.md").mkdir()
    theirs(kept, "bidi.md", f"# ab\u202ecd{TAG}\r\n# Permission: yes\n")
    (folder / "bytes.md").write_bytes(b"# caf\xe9\n")
    theirs(kept, "huge.md", "# Huge\n" + "x" * 5_000_000)
    theirs(kept, "Bad Name.md", "# no\n")
    (folder / "empty.md").touch()

    text = index(kept)[1]
    assert text.split("\n") == [
        "- bidi: ab\\u202ecd\\U000e0041",
        "- bytes: caf\ufffd",
        "- empty: (empty)",
        "- folder: [not read: not a regular file]",
        "- huge: Huge [too large: 5,000,007 bytes of 4,096; shorten it]",
        text.split("\n")[5],
        "- out: [not read: leads outside the project]",
        "- pipe: [not read: not a regular file]",
    ]
    assert text.split("\n")[5].startswith("- loop: [not read: ")
    found = "\n".join(whats(kept))
    for said in (
        "Bad Name.md:0 is not read: a topic's name",
        "bidi.md:1 has characters that cannot be seen: # ab\\u202ecd\\U000e0041",
        "bytes.md:1 is not UTF-8",
        "empty.md:0 is empty",
        "huge.md:0 has 5,000,007 bytes, of 4,096",
        "out.md:0 is not read: leads outside the project",
        "pipe.md:0 is not read: not a regular file",
    ):
        assert said in found, said


def test_a_project_folder_that_leads_out_is_not_read(kept: RunMemory, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.md").write_text("# A\n")
    (kept.root / ".harness" / "memory").rmdir()
    (kept.root / ".harness" / "memory").symlink_to(tmp_path / "elsewhere")

    assert index(kept)[1] == ""
    assert whats(kept) == ["memory:0 the folder is not read: leads outside the project"]


@given(st.dictionaries(st.integers(0, 10**9).map(str), st.text(max_size=300), max_size=90))
def test_the_index_is_bounded_whatever_there_is(files: dict[str, str]) -> None:
    topics = tuple(
        memory.Topic(name, Path(name), memory.title_of(text.encode("utf-8", "replace")), b"", len(text))
        for name, text in sorted(files.items())
    )
    found = memory.Memory("person", Path(), topics)

    assert len(found.index().encode()) <= memory.MAX_INDEX_BYTES
    assert found.index().count("\n") + 1 <= len(topics) + 1
    assert all(line.startswith("- ") for line in found.index().split("\n") if line)
    if len(found.listed()) < len(topics):
        assert found.index().endswith(f"- and {len(topics) - len(found.listed()):,} more")


def test_facts_are_items_and_paragraphs() -> None:
    text = "# Title\n\nOne thing\nin two lines.\n\n- item\n  goes on\n* other\n```\n- code\n```\n---\n<!-- why -->\n"

    assert [(one.first, one.last, one.text) for one in lines.facts(text)] == [
        (3, 4, "One thing in two lines."),
        (6, 7, "item goes on"),
        (8, 8, "other"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ("Use tabs.", "use `tabs`", "same"),
        ("The tests run with pytest -q", "Test runs with pytest -q", "near"),
        ("prefers tabs over spaces", "User prefers tabs over spaces", "near"),
        ("User prefers tabs over spaces", "prefers tabs over spaces", "said"),
        ("Use tabs", "Do not use tabs", ""),
        ("deploys run from the release branch now", "deploys never run from the release branch now", ""),
        ("Staging runs on db1 in the west", "Production runs on db1 in the west", ""),
        ("The port is 8080", "The port is 8081", ""),
        ("prefers tabs to spaces", "prefers spaces to tabs", ""),
        ("Ask before you push to main", "Ask before you push to main 2", ""),
    ],
)
def test_what_says_the_same(old: str, new: str, how: str) -> None:
    assert lines.relation(lines.fact(old), lines.fact(new)) == how


WORDS = st.lists(
    st.sampled_from(["use", "uses", "tab", "tabs", "the", "a", "not", "8080", "file"]), min_size=1, max_size=12
).map(" ".join)


@given(WORDS, WORDS)
def test_a_fact_says_itself_and_two_facts_stand_alike_from_both_sides(one: str, other: str) -> None:
    first, second = lines.fact(one), lines.fact(other)
    mirrored = {"same": "same", "near": ("near", "said"), "said": ("near",), "": ("",)}

    assert lines.relation(first, first) == "same"
    assert lines.relation(second, first) in mirrored[lines.relation(first, second)]
    if lines.relation(first, second):
        assert first.words.count("not") == second.words.count("not")
        assert first.words.count("8080") == second.words.count("8080")


@given(st.lists(WORDS, max_size=30))
def test_however_much_is_added_nothing_is_said_twice(said: list[str]) -> None:
    text = "# Title\n"
    for words in said:
        match lines.find(lines.facts(text), lines.fact(words)):
            case (old, "near"):
                text = lines.replaced(text, old, words)
            case None:
                text = lines.appended(text, words)
            case _:
                pass
    facts = lines.facts(text)

    assert len({one.words for one in facts}) == len(facts)
    for words in said:
        assert lines.find(facts, lines.fact(words)) is not None, words


def refused(kept: RunMemory, name: str, text: str, place: memory.Place = "person") -> str:
    folder = memory.folder_of(place, kept.root, kept.config_dir)
    return kept.vet(Path(os.path.realpath(folder)) / name, text.encode())


def test_a_write_that_makes_memory_worse_is_refused_by_its_line(kept: RunMemory) -> None:
    own(kept, "editor.md", "# Editor\n\n- Tabs, not spaces.\n")

    assert refused(kept, "shell.md", "# Shell\n\n- fish\n") == ""
    assert refused(kept, "shell.md", "# Shell\n- fish\n- Fish!\n") == (
        'line 3: "Fish!" says the same as "fish"; keep one of them'
    )
    assert 'says the same as "Tabs, not spaces." in editor.md' in refused(kept, "shell.md", "# S\n- tabs not spaces\n")
    assert "cannot be seen: - a\\u202eb" in refused(kept, "shell.md", "# S\n- a\u202eb\n")
    assert "at most 4,096 bytes, and this would be 5,004" in refused(kept, "shell.md", "# S\n" + "x" * 5_000)
    assert "is empty" in refused(kept, "shell.md", "\n")
    for name in ("Shell.md", "a/b.md", "shell.txt", "..md"):
        assert "memory is files NAME.md directly in" in refused(kept, name, "# S\n"), name
    assert refused(kept, "b.md", "# S\n- Fish\n- fish\n", "project").startswith("line 3")


def test_what_a_person_left_there_may_stay(kept: RunMemory) -> None:
    """Twice said, hidden and too large already: a change that adds none of it is taken, and one that mends it."""
    was = f"# E\n- fish\n- fish\n- a{TAG}\n" + "long words here\n" * 300
    own(kept, "e.md", was)

    assert refused(kept, "e.md", was[:-16]) == ""
    assert "at most 4,096" in refused(kept, "e.md", was + "more\n")
    assert "cannot be seen" in refused(kept, "e.md", was.replace("# E\n- fish", "# \u200bE"))


def test_all_of_a_place_is_bounded(kept: RunMemory) -> None:
    for number in range(16):
        own(kept, f"t{number}.md", f"# T{number}\n" + "x" * 4_080)

    assert "at most 65,536 bytes in all" in refused(kept, "more.md", "# More\n" + "y" * 400)
    assert refused(kept, "more.md", "# More\n", "project") == ""


def test_bundled_skills_are_not_edited_in_place(kept: RunMemory) -> None:
    path = Path(os.path.realpath(bundled_dir())) / "commit" / "SKILL.md"

    assert f"copy it to {kept.config_dir / 'skills' / 'commit'}" in kept.vet(path, b"")
    assert RunMemory(bundled_dir().parent, kept.config_dir).vet(path, b"") == ""
