"""`harness sessions` as a person types it: real processes over real journals."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from harness.conversation.journal import Journal
from harness.seam import Seam
from tests.e2e.lab import Lab
from tests.sessions.conftest import Make

HOSTILE = "a\x1b[2Jb\x1b]52;c;aGk=\x07c\u202ed\u200be\x9b31mf\r\n> me"


def test_a_list_of_this_workspace_and_of_all(spoken: Lab, make: Make) -> None:
    other = make(("person", "elsewhere"), root=Path("/some/where"))

    here = spoken.run("sessions")
    everywhere = spoken.run("sessions", "--all", "--json")

    first, second = (folder for folder in spoken.sessions() if folder != other)
    assert here.out.startswith(f"2 sessions in {spoken.project}; 1 more in other folders: --all\n")
    rows = [line for line in here.out.splitlines() if line.startswith("20")]
    assert [row.split()[0] for row in rows] == [second.name, first.name]  # the last used first
    assert re.search(r" 2  \$0\.\d{4}  \d\d\.\d %  überprüfe alles$", rows[0])
    assert [one["id"] for one in json.loads(everywhere.out)] == [second.name, other.name, first.name]
    short = spoken.run("sessions", "list", "--limit", "1")
    assert short.out.splitlines()[-1].startswith(second.name)
    assert short.err == "… 1 older one: --limit 0\n"
    found = spoken.run("sessions", "search", "e", "--limit", "1")
    assert (found.out.count("--limit"), found.err) == (0, "… in 1 older one: --limit 0\n")


def test_what_is_damaged_is_listed_with_its_damage(lab: Lab, make: Make, state: Path) -> None:
    broken = make(("person", "fine words"), ("answer", "yes"), root=lab.project) / "journal.jsonl"
    broken.write_bytes(broken.read_bytes().replace(b"fine words", b"FINE words"))
    (state / "sessions" / "20200101-000000-00000000").mkdir()
    Journal.create(state / "sessions" / "20200101-000001-00000000", Seam()).close()

    out = lab.run("sessions").out

    assert "! line 4 is damaged: its checksum is wrong · (nothing said)" in out
    assert "! it has no journal · (nothing said)" in out
    assert "! it ended before it began · (nothing said)" in out
    assert "line 4 of the session is damaged" in lab.run("sessions", "show", broken.parent.name).out
    refused = lab.run("-r", "20200101-000000", "-p", "go on")
    assert refused.code == 1
    assert "has no journal" in refused.lines[0]


def test_a_search_tells_who_said_it_and_where(spoken: Lab) -> None:
    found = spoken.run("sessions", "search", "NEEDLE", "line 7")
    nothing = spoken.run("sessions", "search", "haystack")

    assert found.code == 0
    assert found.out.count("  result ") == 2
    assert "needle" in found.out
    assert (nothing.code, nothing.out) == (1, f"found in 0 of 2 sessions in {spoken.project}\n")
    hits = json.loads(spoken.run("sessions", "search", "ÜBER", "--json").out)
    assert [(hit["speaker"], hit["text"]) for hit in hits[0]["found"]] == [("person", "überprüfe alles")]
    assert spoken.run("sessions", "search", " ").code == 2


def test_the_conversation_with_epochs_and_verdicts(spoken: Lab) -> None:
    out = spoken.run("sessions", "show", spoken.sessions()[0].name).out
    whole = spoken.run("sessions", "show", "--full", spoken.sessions()[0].name).out

    order = ["── start ──", "> fix the <i>", "  please", "I will **look**", "· shell echo hi", "· first\n", "✓ shell"]
    order += ["more lines: --full", "All done: <b>bold</b> \\x1b[31mred\\u202e.", " · hit\n"]
    places = [out.index(text) for text in order]
    assert places == sorted(places)
    assert "line 900 needle" in whole
    assert "line 900 needle" not in out


def test_a_title_is_given_and_lasts(lab: Lab, make: Make) -> None:
    old, new = make(("person", "one"), root=lab.project), make(("person", "two"), root=lab.project)

    renamed = lab.run("sessions", "rename", old.name, "A \x1b[31mfine", "title")
    assert renamed.out == f"session {old.name} is now called: A \\x1b[31mfine title\n"
    assert lab.run("sessions", "rename", old.name, " ").code == 2

    rows = [line for line in lab.run("sessions").out.splitlines() if line.startswith("20")]
    assert [row.split()[0] for row in rows] == [new.name, old.name]  # to be renamed is no use
    assert rows[1].rstrip().endswith("A \\x1b[31mfine title")


def test_a_session_in_use_is_neither_renamed_nor_deleted(lab: Lab, make: Make) -> None:
    folder = make(("person", "one"), root=lab.project)
    journal = Journal.open(folder, Seam())
    try:
        for arguments in (("delete", folder.name), ("rename", folder.name, "x")):
            ran = lab.run("sessions", *arguments)
            assert ran.code == 1
            assert re.fullmatch(r"harness: session \S+ is in use by process \d+ on \S+; .*", ran.lines[0])
        assert "one" in lab.run("sessions").out
    finally:
        journal.close()


def test_a_deleted_session_is_nowhere_but_in_the_trash_until_it_is_restored(spoken: Lab) -> None:
    first, last = (folder.name for folder in spoken.sessions())

    assert spoken.run("sessions", "delete", last).code == 0

    assert last not in spoken.run("sessions", "--all").out
    assert spoken.run("sessions", "search", "alles").code == 1
    assert last in spoken.run("sessions", "trash").out
    assert f"harness sessions restore {last}" in spoken.run("-r", last, "-p", "x").lines[0]
    assert spoken.run("sessions", "delete", first, last).code == 2
    assert [folder.name for folder in spoken.sessions()] == [first]  # all or none

    assert spoken.run("sessions", "restore", last[:-3]).out == f"session {last} is back\n"
    assert spoken.run("sessions", "search", "alles").code == 0
    spoken.run("sessions", "delete", first)
    assert spoken.run("sessions", "empty-trash").out == "1 session removed for good\n"
    assert spoken.run("sessions", "restore", first).code == 2


def test_continue_never_takes_a_deleted_session(lab: Lab, make: Make) -> None:
    make(("person", "the last one"), root=lab.project)
    lab.run("sessions", "delete", lab.sessions()[0].name)

    ran = lab.run("-c", "-p", "go on")

    assert ran.code == 2
    assert "no session to continue" in ran.lines[0]


def test_an_id_that_is_not_clear_is_one_line_that_helps(lab: Lab, make: Make) -> None:
    names = sorted(make(("person", "x"), root=lab.project).name for _ in range(5))

    many, none = lab.run("-r", names[0][:2], "-p", "x"), lab.run("-r", "1999", "-p", "x")

    assert many.code == none.code == 2
    assert ", ".join(names[-3:]) + " and 2 more; give more of the id" in many.lines[0]
    assert none.lines[0].endswith("no session begins with `1999`; see `harness sessions --all`")


@pytest.mark.parametrize("arguments", [("",), ("--all",), ("search", "me"), ("show", "2"), ("export", "2"), ("trash",)])
def test_nothing_hostile_reaches_the_terminal(lab: Lab, make: Make, arguments: tuple[str, ...]) -> None:
    make(("person", HOSTILE), ("answer", HOSTILE), root=lab.project, title=HOSTILE)

    out = lab.run("sessions", *filter(None, arguments)).out

    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202e]", out)
    if arguments[0] == "show":
        assert len(re.findall(r"^> ", out, re.MULTILINE)) == 1  # nobody else looks like the person


@pytest.mark.parametrize(("form", "begin"), [("md", "# "), ("json", '{"format": 1'), ("html", "<!doctype html>")])
def test_an_export_is_a_new_private_file(spoken: Lab, form: str, begin: str) -> None:
    path = spoken.project / f"out.{form}"
    name = spoken.sessions()[0].name

    assert spoken.run("sessions", "export", name, "--output", path.name).code == 0

    assert path.read_text().startswith(begin)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert spoken.run("sessions", "export", name, "--format", form).out == path.read_text()
    again = spoken.run("sessions", "export", name, "--output", path.name)
    assert again.code == 2
    assert "exists" in again.lines[0]


def test_an_export_makes_the_folders_above_it(spoken: Lab) -> None:
    name = spoken.sessions()[0].name
    for where in ("a/b/out.md", "c/d/out.tar.gz"):
        assert spoken.run("sessions", "export", name, "--output", where).code == 0
        assert (spoken.project / where).is_file()

    under_a_file = spoken.run("sessions", "export", name, "--output", "a/b/out.md/other.md")
    assert under_a_file.code == 2
    assert "cannot write" in under_a_file.lines[0]
    assert "Not a directory" in under_a_file.lines[0]


def test_what_is_typed_wrong(lab: Lab) -> None:
    assert "no command `frob`" in lab.run("sessions", "frob").lines[0]
    assert lab.run("sessions", "--limit", "x").code == 2
    assert lab.run("sessions", "export", "x", "--format", "pdf").code == 2
    assert "harness sessions export" in lab.run("sessions", "--help").out
    assert lab.run("sessions").out == f"0 sessions in {lab.project}\n"
    assert lab.run("sessions", "reindex").out == "0 sessions read\n"
