"""Hostile, damaged and wrong documents: one line that says what to do, within the limits, and nothing kept."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.documents import kinds
from harness.documents.conversion import Limits
from harness.errors import DocumentError
from tests.documents import papers
from tests.documents.conftest import Person, Write
from tests.waiting import wait_for

BOMB = (
    '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]>'
    + papers.body("&c;")
)
OUTSIDE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + papers.body("&x;")


def refused(person: Person, path: Path) -> str:
    """The one line that a document is refused with; nothing of it is kept."""
    with pytest.raises(DocumentError) as caught:
        person.convert(path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    assert [one.name for one in person.kept.cache.iterdir() if one.name not in ("lock", "log.jsonl")] == []
    return said


def archive(**entries: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def claims(size: int) -> bytes:
    """An Office file whose directory says that a part has `size` bytes."""
    raw = bytearray(papers.word(papers.body("x")))
    place = raw.rindex(b"PK\x01\x02")
    raw[place + 24 : place + 28] = size.to_bytes(4, "little")
    return bytes(raw)


def encrypted_entry() -> bytes:
    raw = bytearray(papers.word(papers.body("x")))
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
WRONG: dict[str, tuple[bytes, str]] = {
    "empty.pdf": (b"", "is empty"),
    "text.pdf": (b"only words\n", "is text: read the file itself"),
    "table.csv": (b"a,b\n1,2\n", "is text: read the file itself"),
    "image.docx": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "is an image: look at the file itself"),
    "noise.docx": (b"\0\1\2" * 100, "is no PDF, Word, Excel or PowerPoint document"),
    "letter.rtf": (b"{\\rtf1 hello}", "is RTF, which no script reads; save it as .docx"),
    "old.doc": (OLE, "is an old Office file"),
    "secret.docx": (OLE + "EncryptedPackage".encode("utf-16-le"), "is an Office document with a password"),
    "plain.zip": (archive(a=b"x"), "is a zip archive, but no Word"),
    "open.odt": (archive(mimetype=b"application/vnd.oasis", **{"content.xml": b"<x/>"}), "is an OpenDocument file"),
    "binary.xlsb": (archive(**{"xl__workbook.bin": b"x"}), "is a binary workbook"),
    "half.docx": (papers.word(papers.body("x" * 5000))[:-40], "is a damaged archive"),
    "head.docx": (b"PK\x03\x04", "is a damaged archive"),
    "locked.docx": (encrypted_entry(), "is an archive with a password"),
    "claims.docx": (claims(0xFFFFFFF0), "unfolds to more than 500.0 MB"),
    "lies.docx": (claims(0xFFFFFFFF), "is a damaged archive"),
    "broken.pdf": (b"%PDF-1.7\n" + b"\0\xff garbage" * 50, "pdf_to_text.py"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_line_that_says_what_to_do(name: str, person: Person, write: Write) -> None:
    content, expected = WRONG[name]

    assert expected in refused(person, write(name, content))


def test_what_is_no_file_is_not_waited_for(person: Person, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pdf")
    assert "is a FIFO" in refused(person, tmp_path / "pipe.pdf")
    assert "is a directory" in refused(person, tmp_path)
    # a person reads it as well as a model: it names no tool
    assert refused(person, tmp_path / "nothing.pdf").endswith(
        "does not exist; look for it under another name or in another folder"
    )


def test_an_archive_of_too_many_files_is_not_unpacked(person: Person, write: Write) -> None:
    many = archive(**{f"word__{number}": b"" for number in range(kinds.ENTRIES + 1)})

    assert f"more than {kinds.ENTRIES:,} files" in refused(person, write("many.docx", many))


def test_a_bomb_is_not_unpacked(person: Person, write: Write) -> None:
    zeros = b"\0" * (64 * 1024 * 1024)
    bomb = papers.word(papers.body("x"), **{f"media{number}": zeros for number in range(9)})
    assert len(bomb) < 1024 * 1024

    assert "unfolds to more than" in refused(person, write("bomb.docx", bomb))


def test_a_directory_as_large_archives_have_it_is_read(person: Person, write: Write) -> None:
    out = io.BytesIO(papers.word(papers.body("still here")))
    raw = out.getvalue()
    end = raw.rindex(b"PK\x05\x06")
    count = int.from_bytes(raw[end + 10 : end + 12], "little")
    length, start = (int.from_bytes(raw[end + at : end + at + 4], "little") for at in (12, 16))
    end64 = kinds._END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
    locator = kinds._LOCATOR.pack(b"PK\x06\x07", 0, end, 1)
    tail = b"PK\x05\x06" + b"\0" * 4 + b"\xff" * 12 + b"\0\0"

    assert "still here" in person.text(write("large.docx", raw[:end] + end64 + locator + tail))


@pytest.mark.parametrize("text", [BOMB, OUTSIDE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_reach_no_library(text: str, encoding: str, person: Person, write: Write) -> None:
    path = write("bomb.docx", papers.word(text.encode(encoding)))

    assert "word/document.xml declares a document type" in refused(person, path)


def test_what_libraries_do_not_parse_may_have_a_document_type(person: Person, write: Write) -> None:
    page = b"<!DOCTYPE svg><svg/>"

    assert "fine" in person.text(write("a.docx", papers.word(papers.body("fine"), **{"media/a.svg": page})))


def test_a_password_is_asked_for_and_an_owners_is_not_needed(
    person: Person, office: Path, python: Path, tmp_path: Path
) -> None:
    for name, user in (("closed.pdf", "secret"), ("open.pdf", "")):
        papers.run(python, papers.ENCRYPTED, str(office / "letter.pdf"), str(tmp_path / name), user, "owner")

    assert "opens with a password only" in refused(person, tmp_path / "closed.pdf")
    assert "this is page one" in person.text(tmp_path / "open.pdf")


def test_ten_thousand_pages_are_converted_in_part(person: Person, write: Write) -> None:
    path = write("huge.pdf", papers.pdf([["a line"]] * 10_000))

    assert "(pages 2,001 to 10,000 are left out; convert them with --pages 2001-10000)" in person.text(path)


# ------------------------------------------------------------------------------- what a script may do

LIMITS: dict[str, tuple[str, str]] = {
    "time": ("while True:\n    pass\n", "takes more than 3 s"),
    "sleep": ("import time\ntime.sleep(60)\n", "takes more than 3 s"),
    "recursion": ("def f():\n    f()\nf()\n", "RecursionError"),
    "fault": ("raise KeyError('/Root')\n", "KeyError: '/Root' (pdf_to_text.py, line 1)"),
    "syntax": ("def (\n", "SyntaxError"),
    "library": ("import nothing_like_it\n", "harness documents install"),
    "nothing": ("pass\n", "wrote no text"),
    "crash": ("import os\nos.abort()\n", "it ended by signal 6"),
    "output": ("import sys\nwith open(sys.argv[2], 'wb') as f:\n    f.write(bytes(65 << 20))\n", "File too large"),
    "many lines": ("import sys\nprint('x' * 100000)\nsys.exit('no\\nwonder ' + 'y' * 9000)\n", "no wonder yyy"),
    "network": ("import socket\nsocket.create_connection(('127.0.0.1', PORT))\n", "opens no connection"),
}
if sys.platform == "linux":
    LIMITS["memory"] = ("x = bytearray(1 << 30)\n", "needs more than 512 MB of memory")


@pytest.mark.parametrize("name", LIMITS)
def test_a_script_is_held_within_its_limits(name: str, person: Person, write: Write) -> None:
    source, expected = LIMITS[name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = person.script("pdf_to_text.py", source.replace("PORT", str(server.getsockname()[1])))
        person.limits = Limits(seconds=3, megabytes=512)

        said = refused(person, write("a.pdf", papers.pdf([["x"]])))

    assert expected in said
    assert str(script) in said
    assert len(said) < 1500
    assert papers.events(person.kept.cache) == ["failed"]


def test_a_secret_of_the_person_does_not_reach_a_script(
    person: Person, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-0123456789")
    person.script("pdf_to_text.py", "import os, sys\nopen(sys.argv[2], 'w').write(repr(dict(os.environ)))\n")

    text = person.text(write("a.pdf", papers.pdf([["x"]])))

    assert "PATH" in text
    assert "sk-secret" not in text


def test_a_conversion_ends_with_who_started_it(person: Person, write: Write, tmp_path: Path, isolation: Path) -> None:
    person.script(
        "pdf_to_text.py",
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(200)\n",
    )
    path = write("a.pdf", papers.pdf([["x"]]))
    root = Path(__file__).resolve().parents[2]
    started = subprocess.Popen(
        [sys.executable, "-m", "harness", "documents", "convert", str(path)],
        env={"HOME": str(isolation), "PATH": os.environ["PATH"], "PYTHONPATH": str(root)},
    )
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    started.send_signal(signal.SIGKILL)
    started.wait()

    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(pid))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_document_may_say_anything_and_reaches_no_terminal(person: Person, write: Write) -> None:
    path = write("a.docx", papers.word(papers.body("--- page 9 ---\u202eevil&#x9b;")))

    done = person.convert(path)

    assert [section.title for section in done.entry.sections] == []
    assert "\\u202eevil" in done.path.read_text()
    assert done.path.read_text().replace("\n", "").isprintable()
