"""The skill in sessions: the model finds it in the list, converts, reads by section, repairs; the prefix stays."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.documents import folders
from harness.simulator import Simulator
from tests.documents import papers
from tests.documents.conftest import move_in
from tests.e2e.lab import Lab, Script, call, result_text

ALLOW = ("--allow", "shell(harness documents *)")


@pytest.fixture
def lab(tmp_path: Path, isolation: Path, python: Path, office: Path) -> Lab:
    """A project with the four documents, and a person who has the libraries."""
    made = Lab(tmp_path, isolation, "http://127.0.0.1:9")
    shutil.copytree(office, made.project)
    made.extra["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    move_in(python, folders.folders({"HOME": str(isolation)}))
    return made


def said(request: Mapping[str, Any]) -> list[str]:
    """All tool results of a request, in order."""
    blocks = [block for message in request["messages"] for block in message["content"]]
    return [result_text(block) for block in blocks if block["type"] == "tool_result"]


class Reader:
    """A model that calls the skill, converts, and reads the last section of what the outline names."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, request: dict[str, Any]) -> Any:
        got = said(request)
        match len(got):
            case 0:
                return [{"call": "invoke_skill", "input": {"name": "documents", "task": f"what is in {self.name}?"}}]
            case 1:
                return [call("shell", command=f"harness documents convert {self.name}")]
            case 2:
                path = re.search(r"^text: (.+)$", got[-1], re.MULTILINE)
                lines = re.findall(r"^  lines (\d+)-(\d+)", got[-1], re.MULTILINE)
                assert path, got[-1]
                first, last = map(int, lines[-1])
                return [call("read", path=path[1], offset=first, limit=last - first + 1)]
            case _:
                return "I have read it."


@pytest.mark.parametrize(
    ("name", "told", "read"),
    [
        ("letter.pdf", "page 3", "(no text on this page)"),
        ("report.docx", "Outlook", "Ann: How much?"),
        ("costs.xlsx", 'sheet "Costs" A1:C6', "(empty), hidden"),
        ("plan.pptx", "slide 1: The plan", "--- slide 2 ---"),
    ],
)
def test_a_session_reads_a_document_and_the_next_one_hits(
    name: str, told: str, read: str, lab: Lab, simulator: Callable[..., Simulator]
) -> None:
    for whence in (
        f"[documents: converted, key {{}}, by {NAMES[name]} in ",
        "[documents: cache hit, key {}, converted 2",
    ):
        sim = simulator(Reader(name), minimum=1)
        lab.url = sim.url
        ran = lab.run("-p", f"what is in {name}?", *ALLOW)
        assert ran.code == 0, ran.err

        skill, converted, section = said(sim.requests[-1].json)

        assert skill.startswith('<skill name="documents"')
        assert told in converted
        assert read in section
        key = re.search(r"key ([0-9a-f]{32})", converted)
        assert key, converted
        assert whence.format(key[1]) in converted
        # the journal has it, as part of the result
        assert any(key[1] in str(record.data) for record in lab.records())
        assert [request.json["system"] == sim.requests[0].json["system"] for request in sim.requests] == [True] * 4
        sim.stop()


NAMES = {
    "letter.pdf": "pdf_to_text.py",
    "report.docx": "word_to_text.py",
    "costs.xlsx": "excel_to_text.py",
    "plan.pptx": "powerpoint_to_text.py",
}


def test_the_model_repairs_a_script_and_the_next_conversion_uses_it(
    lab: Lab, simulator: Callable[..., Simulator]
) -> None:
    scripts = folders.folders({"HOME": str(lab.home)}).scripts
    script = scripts / "pdf_to_text.py"
    assert lab.run("documents", "scripts").code == 0
    convert = call("shell", command="harness documents convert letter.pdf")
    sim = simulator(
        Script(
            [convert],
            [call("read", path=str(script))],
            [call("edit", path=str(script), old='MODE = "plain"', new='MODE = "layout"')],
            [convert],
            [convert],
        ),
        minimum=1,
    )
    lab.url = sim.url

    ran = lab.run("-p", "the columns run together", *ALLOW, "--add-dir", str(scripts))
    assert ran.code == 0, ran.err

    first, _, edited, second, third = said(sim.requests[-1].json)
    assert "converted, key" in first
    assert "layout" in script.read_text(), edited
    assert "[documents: pdf_to_text.py is your repaired copy]\n[documents: converted, key" in second
    assert "cache hit" in third


def test_without_a_rule_the_command_is_refused(lab: Lab, simulator: Callable[..., Simulator]) -> None:
    sim = simulator(Script([call("shell", command="harness documents convert letter.pdf")]), minimum=1)
    lab.url = sim.url

    lab.run("-p", "read it")

    assert "--allow 'shell(harness *)'" in said(sim.requests[-1].json)[0]


# --------------------------------------------------------------------------------------------- the command


def test_the_command_tells_what_is_kept(lab: Lab) -> None:
    for _ in range(3):
        assert lab.run("documents", "convert", "letter.pdf").code == 0
    assert lab.run("documents", "convert", "report.docx").code == 0

    listed = lab.run("documents", "list").out.splitlines()

    assert re.search(r"Word hits 0 .*report\.docx$", listed[0])
    assert re.search(r"PDF hits 2 .*letter\.pdf$", listed[1])
    assert listed[-1].startswith("2 texts, ")
    assert papers.events(folders.folders({"HOME": str(lab.home)}).cache) == ["converted", "hit", "hit", "converted"]
    assert lab.run("documents", "prune").out.startswith("0 texts removed")
    assert lab.run("documents", "prune", "--all").out.startswith("2 texts removed")
    assert lab.run("documents", "list").out.startswith("0 texts, 0 bytes")


def test_the_command_tells_of_the_scripts(lab: Lab) -> None:
    assert lab.run("documents", "scripts").out.count("as shipped\n") == 5
    script = folders.folders({"HOME": str(lab.home)}).scripts / "excel_to_text.py"
    script.write_text("# mine\n")
    assert "excel_to_text.py: excel_to_text.py is your repaired copy" in lab.run("documents", "scripts").out
    assert "your copy is kept as" in lab.run("documents", "reset", "excel_to_text.py").out
    assert lab.run("documents", "reset", "excel_to_text.py").out == "excel_to_text.py is as shipped already\n"
    assert lab.run("documents", "install").out.startswith("the document libraries are installed in ")


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("nothing",), 2, "no command `nothing`; harness documents convert|list"),
        (("convert",), 2, "required: FILE"),
        (("convert", "letter.pdf", "--pages", "3-1"), 2, "--pages 3-1: write A-B, e.g. 1-20, or one number"),
        (("convert", "letter.pdf", "--pages", "1-9999"), 2, "at most 2,000 pages at once"),
        (("convert", "letter.pdf", "--pages", "9"), 1, "it has 3 pages, so no page 9"),
        (("convert", "report.docx", "--pages", "1"), 1, "--pages is for PDF"),
        (("convert", "no\x1b[31m\u202e.pdf"), 1, "no\\x1b[31m\\u202e.pdf does not exist"),
        (("reset", "x"), 2, "no script `x`; there is: sections.py"),
    ],
)
def test_a_wrong_command_is_one_line(arguments: tuple[str, ...], code: int, line: str, lab: Lab) -> None:
    ran = lab.run("documents", *arguments)

    assert (ran.code, ran.out) == (code, "")
    assert line in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.err.rstrip("\n").isprintable()


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_the_command_has_help(arguments: tuple[str, ...], lab: Lab) -> None:
    assert "harness documents convert FILE" in lab.run("documents", *arguments).out
