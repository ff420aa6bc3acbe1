"""Sessions that another version of the program recorded: what is proved of them, and what is said where it is not.

`tests/fixtures/replays` has real ones. Of 0.1.0: `phase`, by a vendor whose texts say what they are, which that version
did not keep; `silent`, of which that version said otherwise what a server that tells nothing of a cache had read.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import __version__
from harness.conversation.lines import Record
from harness.providers.catalog import Catalog
from harness.replay.verify import verify
from harness.replay.wording import lines
from tests.program import ROOT
from tests.replay.tampering import tampered

OF_0_1_0 = ROOT / "tests" / "fixtures" / "replays" / "of-0.1.0"


@pytest.mark.parametrize("session", sorted(OF_0_1_0.iterdir()), ids=lambda path: path.name)
def test_what_another_version_recorded_is_no_divergence(session: Path) -> None:
    report = verify(session, Catalog.load())

    assert report.equal, report
    assert (report.version, report.other) == ("0.1.0", "0.1.0")
    assert report.bodies == report.requests >= 4
    assert report.checked > 0


@pytest.mark.parametrize("name", ["phase", "silent"])
def test_where_this_version_does_it_otherwise_it_says_which_to_ask(name: str) -> None:
    report = verify(OF_0_1_0 / name, Catalog.load(), rerender=True)

    assert list(lines(report))[-2:] == [
        f"  or harness 0.1.0, which recorded it, did it otherwise than this one ({__version__}):",
        "  replay it with harness 0.1.0, or without rerendering, to know",
    ]


def test_an_answer_of_another_version_that_was_changed_is_found(tmp_path: Path) -> None:
    def change(record: Record, data: dict[str, object]) -> None:
        if record.kind == "message" and data["tag"] == "answer":
            data["blocks"][0]["text"] = "I look away."  # type: ignore[index]

    report = verify(tampered(OF_0_1_0 / "phase", tmp_path / "changed", change), Catalog.load())

    assert report.found is not None
    assert report.found.divergence.where == "message 3 block 1"
    assert list(lines(report))[-1] == "  replay it with harness 0.1.0 to know"


def test_of_its_own_sessions_it_names_no_other_version(tmp_path: Path) -> None:
    def change(record: Record, data: dict[str, object]) -> None:
        if record.kind == "request":
            data["max_tokens"] = 7

    report = verify(tampered(ROOT / "tests" / "recorded" / "small", tmp_path / "changed", change), Catalog.load())

    assert report.found is not None
    assert "which recorded it" not in "".join(lines(report))
