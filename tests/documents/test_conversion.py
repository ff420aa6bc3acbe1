"""Four kinds of documents become text; the same content is converted once, another content or script anew."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from harness.documents import cache
from harness.documents.cache import Bounds, Entry
from harness.documents.conversion import Converted, Shipped
from harness.documents.environment import digest
from harness.documents.outline import LONGEST, SHOWN, Section, finish, printed
from tests.documents import papers
from tests.documents.conftest import Person, Write

EXPECTED = {
    "letter.pdf": ["--- page 1 ---\nDear reader,\nthis is page one.", "--- page 2 ---", "(no text on this page)"],
    "report.docx": [
        "Title: Annual report",
        "# Results\nWe earned more[^c0] than before\n- first thing\n1. second thing",
        "| Item | Price |\n| --- | --- |\n| a\\|b | 3 |\n| wide |  |",
        "## Outlook",
        "(image)",
        "header: Confidential",
        "[^c0] Ann: How much?",
    ],
    "costs.xlsx": [
        '--- sheet "Costs" A1:C6 ---\n|  | A | B | C |\n| --- | --- | --- | --- |\n| 1 | what | sum | on |',
        "| 2 | rent | 400 | 2026-03-01 |\n| 3 | food | 200.5 |\n| 4 |  | (no value stored) [=SUM(B2:B3)] |",
        "Merged: A6:C6\nComment on B2 by Bob: too much",
        '--- sheet "Far" XFD1048576:XFD1048576 ---',
        "| 1048576 | corner |",
        '--- sheet "Secret" (empty), hidden ---',
    ],
    "plan.pptx": [
        "--- slide 1: The plan ---\n- step one\n- step two",
        "| head |  |\n| --- | --- |\n|  | value |",
        "|  | Sales |\n| --- | --- |\n| Q1 | 1.0 |\n| Q2 | 2.0 |",
        "(image: image.png)",
        "Notes: smile here",
        "--- slide 2 ---",
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_document_converts_and_the_second_time_is_a_hit(name: str, person: Person, office: Path) -> None:
    first = person.convert(office / name)
    second = person.convert(office / name)

    text = first.path.read_text()
    assert [part for part in EXPECTED[name] if part not in text] == []
    assert "less" not in text
    assert max(map(len, text.splitlines())) <= LONGEST
    assert (first.hit, second.hit) == (False, True)
    assert second.entry == first.entry
    assert papers.events(person.kept.cache) == ["converted", "hit"]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_outline_gives_the_lines_of_each_section(name: str, person: Person, office: Path) -> None:
    done = person.convert(office / name)

    lines = done.path.read_text().splitlines()
    sections = done.entry.sections
    assert [lines[section.first - 1].strip("-# ") for section in sections] == [section.title for section in sections]
    assert [section.first for section in sections[1:]] == [section.last + 1 for section in sections[:-1]]
    assert sections[-1].last == len(lines) == done.entry.lines


def test_another_content_under_the_same_name_is_another_key(person: Person, write: Write) -> None:
    path = write("a.pdf", papers.pdf([["before"]]))
    first = person.convert(path)
    write("a.pdf", papers.pdf([["after"]]))

    second = person.convert(path)

    assert not second.hit
    assert second.entry.key != first.entry.key
    assert "after" in second.path.read_text()


def test_the_same_content_under_another_name_is_a_hit_whatever_its_ending(person: Person, write: Write) -> None:
    content = papers.pdf([["same"]])
    person.convert(write("a.pdf", content))

    assert person.convert(write("b.docx", content)).hit


@pytest.mark.parametrize(("name", "changed"), [("pdf_to_text.py", "page"), ("sections.py", "row")])
def test_a_repaired_script_is_another_key_and_is_what_runs(
    name: str, changed: str, person: Person, office: Path
) -> None:
    first = person.convert(office / "letter.pdf")
    path = person.kept.scripts / name
    repaired = (
        path.read_text().replace("def run(", "def _unused():\n    pass\n\n\ndef run(").replace("--- page", "--- Seite")
    )
    path.write_text(repaired + f"# {changed}\n")

    second = person.convert(office / "letter.pdf")
    third = person.convert(office / "letter.pdf")

    assert [done.hit for done in (first, second, third)] == [False, False, True]
    assert second.entry.key != first.entry.key
    assert second.notes == (f"{name} is your repaired copy",)
    assert ("--- Seite 1 ---" in second.path.read_text()) == (name == "pdf_to_text.py")


def test_a_repair_of_one_script_leaves_the_texts_of_the_others(person: Person, office: Path) -> None:
    person.convert(office / "report.docx")
    path = person.kept.scripts / "pdf_to_text.py"
    path.write_text(path.read_text() + "# repaired\n")

    assert person.convert(office / "report.docx").hit


def test_other_libraries_are_another_key(person: Person, office: Path, tmp_path: Path, python: Path) -> None:
    first = person.convert(office / "letter.pdf")
    listed = tmp_path / "requirements.txt"
    listed.write_text(person.shipped.requirements.read_text() + "# newer\n")
    person.shipped = Shipped(person.shipped.scripts, listed)
    other = python.parent.parent
    from_now = person.kept.data / f"environment-{digest(listed.read_bytes())[:16]}"
    from_now.symlink_to(other)

    assert person.convert(office / "letter.pdf").entry.key != first.entry.key


def test_a_range_of_pages_is_converted_alone_and_says_what_is_left_out(person: Person, write: Write) -> None:
    path = write("many.pdf", papers.pdf([[f"this is {number}"] for number in range(1, 11)]))

    text = person.text(path, (3, 4))

    assert "this is 3" in text
    assert "this is 5" not in text
    assert "(pages 5 to 10 are left out; convert them with --pages 5-10)" in text
    assert not person.convert(path).hit


def test_a_text_that_was_changed_or_lost_is_made_anew(person: Person, office: Path) -> None:
    done = person.convert(office / "letter.pdf")
    whole = done.path.read_text()
    done.path.write_text("something else")
    assert person.text(office / "letter.pdf") == whole
    done.path.unlink()
    assert person.text(office / "letter.pdf") == whole
    (person.kept.cache / f"{done.entry.key}.json").write_text('{"key": 1}')
    assert person.text(office / "letter.pdf") == whole
    assert papers.events(person.kept.cache) == ["converted"] * 4


def test_a_text_that_grew_by_what_was_made_visible_is_a_hit_too(person: Person, office: Path) -> None:
    person.script("pdf_to_text.py", "import sys\nopen(sys.argv[2], 'w').write('\\U000e0001' * 7_000_000)\n")
    first = person.convert(office / "letter.pdf")

    assert first.entry.size > 64 * 1024 * 1024
    assert person.convert(office / "letter.pdf").hit


def test_all_that_is_kept_is_private(person: Person, office: Path) -> None:
    person.convert(office / "letter.pdf")

    for folder in (person.kept.data, person.kept.cache):
        assert folder.stat().st_mode & 0o777 == 0o700
    for path in person.kept.cache.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert sorted(path.suffix for path in person.kept.cache.iterdir()) == ["", ".json", ".jsonl", ".txt"]


def test_two_at_once_give_one_whole_text(person: Person, office: Path) -> None:
    done: list[Converted] = []
    threads = [threading.Thread(target=lambda: done.append(person.convert(office / "letter.pdf"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one.entry.key for one in done}) == 1
    assert len(done) == 4
    assert person.convert(office / "letter.pdf").hit


# ------------------------------------------------------------------------------------------------- the cache


def keep(folder: Path, number: int, text: bytes) -> str:
    """A text that was used at the time of its number; its key."""
    key = f"{number:032x}"
    digest = sha256(text).hexdigest()
    cache.put(folder, Entry(key, "/a.pdf", "PDF", "2026-01-01 00:00:00 UTC", digest, 1, len(text), ()), text)
    assert cache.find(folder, key, now=1000.0 + number)
    return key


@pytest.mark.parametrize("bounds", [Bounds(texts=3), Bounds(size=3500)])
def test_what_was_used_longest_ago_goes_first(bounds: Bounds, tmp_path: Path) -> None:
    keys = [keep(tmp_path, number, b"x" * 1000) for number in range(6)]

    assert cache.prune(tmp_path, 5000.0, bounds, keep=keys[0]) == (3, 3000)

    assert [one.key for one in cache.entries(tmp_path)] == [keys[5], keys[4], keys[0]]
    assert len(list(tmp_path.glob("*.txt"))) == 3


def test_what_a_killed_conversion_left_is_removed_after_an_hour(person: Person) -> None:
    left = person.kept.cache / f"{cache.WORK}abc"
    left.mkdir()
    (left / "document").write_bytes(b"x")
    now = left.stat().st_mtime

    cache.prune(person.kept.cache, now + 60)
    assert left.exists()
    cache.prune(person.kept.cache, now + 4000)
    assert not left.exists()


def test_the_log_is_bounded_and_keeps_its_later_half(tmp_path: Path) -> None:
    for number in range(1300):
        cache.log(tmp_path, {"event": "hit", "number": number, "source": "x" * 1000})

    numbers = [line["number"] for line in cache.logged(tmp_path)]

    assert (tmp_path / "log.jsonl").stat().st_size <= 1024 * 1024 + 2000
    assert numbers == list(range(numbers[0], 1300))
    assert numbers[0] > 0


# ------------------------------------------------------------------------------------------------ the outline


def test_only_a_marked_line_is_a_section_and_nothing_hidden_stays() -> None:
    done = finish("\x1e--- page 1 ---\n--- page 2 ---\nred \x1b[31m \u202e text\n\n\n\x1e## A\x1b\n" + "long " * 1000)

    assert done.sections == (Section("page 1", 1, 4), Section("A\\x1b", 5, 9))
    assert "red \\x1b[31m \\u202e text\n" in done.text
    assert max(map(len, done.text.splitlines())) <= LONGEST


@pytest.mark.parametrize(("count", "lines"), [(0, 0), (1, 1), (SHOWN, SHOWN), (SHOWN + 1, 31), (2000, 59)])
def test_a_long_outline_is_grouped(count: int, lines: int) -> None:
    shown = printed(tuple(Section(f"page {number}", number, number) for number in range(1, count + 1)))

    assert len(shown) == lines
    assert not count or shown[-1].endswith(f"page {count}")


def test_the_folder_may_be_removed_at_any_time(person: Person, office: Path) -> None:
    person.convert(office / "letter.pdf")
    whole: Sequence[Path] = [*person.kept.cache.iterdir(), person.kept.scripts]
    for path in whole:
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert not person.convert(office / "letter.pdf").hit
