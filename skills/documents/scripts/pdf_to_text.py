"""PDF to text, page by page, in the order in which the file draws it.

MODE "plain" keeps columns of prose apart; "layout" keeps the columns of tables that have no other mark than their
position. Comments, form fields and bookmarks are told; images are only named.
"""

import logging
import sys

from pypdf import PdfReader
from pypdf.errors import FileNotDecryptedError, PyPdfError
from sections import run

MODE = "plain"
BOOKMARKS = 500
COMMENTS = 50  # per page


def convert(source, text, first, last):
    """Write the pages from `first` to `last`, from 1, both included."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = opened(source)
    count = len(reader.pages)
    if first > count:
        sys.exit(f"it has {count:,} pages, so no page {first:,}")
    metadata(reader, text)
    titles = bookmarks(reader)
    written = 0
    for number in range(first, min(last, count) + 1):
        title = titles.get(number)
        text.section(f"--- page {number}: {title} ---" if title else f"--- page {number} ---")
        written += page_text(reader.pages[number - 1], text)
    if not written:
        text.line("(no page has a text layer: scanned images; a program for text recognition, e.g. ocrmypdf, adds one)")
    if last < count:
        text.section("--- left out ---")
        text.line(f"(pages {last + 1:,} to {count:,} are left out; convert them with --pages {last + 1}-{count})")
    elif "/AcroForm" in reader.trailer["/Root"]:
        fields(reader, text)


def opened(source):
    """The reader, past an encryption that needs no password."""
    try:
        reader = PdfReader(source, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            sys.exit("it is encrypted and opens with a password only; ask the person for a copy without one")
        len(reader.pages)
    except FileNotDecryptedError:
        sys.exit("it is encrypted and opens with a password only; ask the person for a copy without one")
    except PyPdfError as error:
        sys.exit(f"it is damaged: {error}")
    return reader


def metadata(reader, text):
    """Title, author and subject, where the file has them."""
    try:
        found = reader.metadata or {}
        for name in ("Title", "Author", "Subject"):
            if value := found.get(f"/{name}"):
                text.line(f"{name}: {value}"[:500])
    except (PyPdfError, ValueError, TypeError, AttributeError) as error:
        text.line(f"(its properties cannot be read: {error})"[:500])


def bookmarks(reader):
    """The first bookmark of each page: number to title."""
    found = {}
    try:
        waiting = [*reader.outline]
        for _ in range(BOOKMARKS):
            if not waiting:
                break
            entry = waiting.pop(0)
            if isinstance(entry, list):
                waiting[:0] = entry
            elif (index := reader.get_destination_page_number(entry)) is not None and index >= 0:
                found.setdefault(index + 1, str(entry.title)[:80])
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return found  # the outline then has page numbers only
    return found


def page_text(page, text):
    """Write one page; whether it had text."""
    try:
        body = page.extract_text(extraction_mode=MODE).strip("\n")
    except Exception as error:
        text.line(f"(this page cannot be read: {type(error).__name__}: {error})"[:300])
        body = ""
    text.line(body if body.strip() else "(no text on this page)")
    for _ in range(images(page)):
        text.line("(image)")
    comments(page, text)
    return bool(body.strip())


def images(page):
    """How many images the page's own resources name."""
    try:
        objects = page["/Resources"]["/XObject"]
        return min(sum(objects[name].get("/Subtype") == "/Image" for name in objects), COMMENTS)
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError):
        return 0


def comments(page, text):
    """Notes that a reader wrote on the page."""
    try:
        for entry in list(page.get("/Annots") or ())[:COMMENTS]:
            note = entry.get_object()
            if note.get("/Subtype") not in ("/Link", "/Widget", "/Popup") and note.get("/Contents"):
                text.line(f"(comment by {note.get('/T', 'somebody')}: {note['/Contents']})")
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError) as error:
        text.line(f"(comments cannot be read: {error})"[:300])


def fields(reader, text):
    """What was filled into a form."""
    found = reader.get_fields() or {}
    values = [(name, field.get("/V")) for name, field in found.items() if field.get("/FT") != "/Sig"]
    if values:
        text.section("--- form fields ---")
        for name, value in values:
            text.line(f"{name}: {'(empty)' if value is None else value}")


if __name__ == "__main__":
    run(convert)
