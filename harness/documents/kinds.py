"""What kind of document a file is, by its content; never by its name.

Invariant: memory is flat whatever the file says of itself; an archive that would unfold beyond the limits, and
everything that no script reads, is refused with one line that says what to do instead.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import DocumentError
from harness.workspace import files, text

LARGEST = 200_000_000
"""Bytes of a document."""

ENTRIES = 20_000
"""Files inside an Office document."""

UNFOLDED = 500_000_000
"""Bytes of them all, uncompressed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document. name: for texts. script: what converts it. paged: whether parts of it may be asked for."""

    name: str
    script: str
    paged: bool = False


PDF = Kind("PDF", "pdf_to_text.py", paged=True)
WORD = Kind("Word", "word_to_text.py")
EXCEL = Kind("Excel", "excel_to_text.py")
POWERPOINT = Kind("PowerPoint", "powerpoint_to_text.py")

_OFFICE = {b"word/": WORD, b"xl/": EXCEL, b"ppt/": POWERPOINT}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_SOFFICE = "or, where LibreOffice is installed: soffice --headless --convert-to"

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s6H3I5H2I")


def kind_of(file: files.Opened) -> Kind:
    """The kind of an open file.

    Raises:
        DocumentError: no document that a script reads, too large, or damaged; without the file's name.
    """
    size = file.status.st_size
    if size > LARGEST:
        raise DocumentError(f"has {text.size_text(size)}, and at most {text.size_text(LARGEST)} are converted")
    head = files.load(file, 8192)
    if not head:
        raise DocumentError("is empty")
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(b"PK\x03\x04"):
        return _office(file)
    if head.startswith(_OLE):
        if any(_ENCRYPTED in piece for piece in files.chunks(file)):
            raise DocumentError("is an Office document with a password; ask for a copy without one")
        raise DocumentError(f"is an old Office file (.doc, .xls, .ppt); save it as .docx, .xlsx, .pptx {_SOFFICE} docx")
    if head.startswith(b"{\\rtf"):
        raise DocumentError(f"is RTF, which no script reads; save it as .docx {_SOFFICE} docx")
    if text.image_type(head):
        raise DocumentError("is an image: look at the file itself")
    if not text.is_binary(head):
        raise DocumentError("is text: read the file itself")
    raise DocumentError(f"is no PDF, Word, Excel or PowerPoint document ({text.kind(head)})")


def _office(file: files.Opened) -> Kind:
    total = 0
    names = set()
    for count, entry in enumerate(_entries(file), 1):
        total += entry.size
        if entry.encrypted:
            raise DocumentError("is an archive with a password; ask for a copy without one")
        if count > ENTRIES:
            raise DocumentError(f"is an archive of more than {ENTRIES:,} files, and is not unpacked")
        if total > UNFOLDED:
            raise DocumentError(f"unfolds to more than {text.size_text(UNFOLDED)}, and is not unpacked")
        names.add(entry.name if entry.name in _TELLING else entry.name.partition(b"/")[0][:100] + b"/")
    if b"xl/workbook.bin" in names:
        raise DocumentError(f"is a binary workbook (.xlsb); save it as .xlsx {_SOFFICE} xlsx")
    if b"[Content_Types].xml" in names:
        for folder, kind in _OFFICE.items():
            if folder in names:
                return kind
    if b"mimetype" in names and b"content.xml" in names:
        raise DocumentError(f"is an OpenDocument file, which no script reads; save it as .docx {_SOFFICE} docx")
    raise DocumentError("is a zip archive, but no Word, Excel or PowerPoint document; unpack it with `unzip`")


_TELLING = (b"xl/workbook.bin", b"[Content_Types].xml", b"mimetype", b"content.xml")


@dataclass(frozen=True, slots=True)
class _Entry:
    name: bytes
    size: int
    encrypted: bool


_DAMAGED = DocumentError("is a damaged archive: its directory cannot be read; ask for the file again")


def _entries(file: files.Opened) -> Iterator[_Entry]:
    """The archive's directory, one entry at a time: `zipfile` would hold all that a hostile one claims."""
    place, left = _directory(file)
    while left > 0:
        raw = os.pread(file.fd, _ENTRY.size, place)
        if len(raw) < _ENTRY.size or not raw.startswith(b"PK\x01\x02"):
            raise _DAMAGED
        (_, _, _, flags, _, _, _, _, _, size, name_size, extra_size, comment_size, *_) = _ENTRY.unpack(raw)
        name = os.pread(file.fd, name_size, place + _ENTRY.size)
        if size == 0xFFFFFFFF:
            size = _large(os.pread(file.fd, extra_size, place + _ENTRY.size + name_size))
        yield _Entry(name, size, bool(flags & 1))
        whole = _ENTRY.size + name_size + extra_size + comment_size
        place += whole
        left -= whole


def _directory(file: files.Opened) -> tuple[int, int]:
    """Where the directory begins, and its bytes. As `zipfile` does, so that both judge the same archive."""
    size = file.status.st_size
    start = max(0, size - _END.size - 0xFFFF)
    tail = os.pread(file.fd, size - start, start)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise _DAMAGED
    end = start + found
    length = _END.unpack_from(tail, found)[5]
    behind = end
    locator = os.pread(file.fd, _LOCATOR.size, max(0, end - _LOCATOR.size))
    if locator.startswith(b"PK\x06\x07"):
        behind = end - _LOCATOR.size - _END64.size
        raw = os.pread(file.fd, _END64.size, max(0, behind))
        if len(raw) < _END64.size or not raw.startswith(b"PK\x06\x06"):
            raise _DAMAGED
        length = _END64.unpack(raw)[8]
    if length > behind:
        raise _DAMAGED
    return behind - length, length


def _large(extra: bytes) -> int:
    """The size of an entry of 4 GB or more, or that was written as if: from its extra field."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1 and length >= 8 and place + 12 <= len(extra):
            return int(struct.unpack_from("<Q", extra, place + 4)[0])
        place += 4 + length
    raise _DAMAGED
