"""Documents for the tests: PDFs written by hand, the others by the libraries that the conversions use.

Invariant: every text that a test looks for is in this file.
"""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

OFFICE = r"""
import io, sys
folder = sys.argv[1]

import docx
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
paper = docx.Document()
paper.core_properties.title = "Annual report"
paper.add_heading("Results", 1)
line = paper.add_paragraph("We earned ")
paper.add_comment(line.add_run("more"), "How much?", author="Ann")
line._p.append(parse_xml('<w:del %s><w:r><w:delText>less</w:delText></w:r></w:del>' % nsdecls("w")))
line._p.append(parse_xml('<w:ins %s><w:r><w:t> than before</w:t></w:r></w:ins>' % nsdecls("w")))
paper.add_paragraph("first thing", style="List Bullet")
paper.add_paragraph("second thing", style="List Number")
table = paper.add_table(3, 2)
for cell, said in zip([c for row in table.rows for c in row.cells], ["Item", "Price", "a|b", "3", "wide", ""]):
    cell.text = said
table.cell(2, 0).merge(table.cell(2, 1))
paper.add_heading("Outlook", 2)
paper.add_paragraph("word " * 600)
paper.sections[0].header.paragraphs[0].text = "Confidential"
from PIL import Image
picture = io.BytesIO()
Image.new("RGB", (9, 9)).save(picture, "png")
picture.seek(0)
paper.add_picture(picture)
paper.save(folder + "/report.docx")

import datetime, openpyxl
from openpyxl.comments import Comment
book = openpyxl.Workbook()
sheet = book.active
sheet.title = "Costs"
for row in (["what", "sum", "on"], ["rent", 400, datetime.date(2026, 3, 1)], ["food", 200.5, None]):
    sheet.append(row)
sheet["B4"] = "=SUM(B2:B3)"
sheet["B2"].comment = Comment("too much", "Bob")
sheet["A6"] = "merged"
sheet.merge_cells("A6:C6")
far = book.create_sheet("Far")
far["XFD1048576"] = "corner"
book.create_sheet("Secret").sheet_state = "hidden"
book.save(folder + "/costs.xlsx")

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches
show = pptx.Presentation()
slide = show.slides.add_slide(show.slide_layouts[1])
slide.shapes.title.text = "The plan"
slide.placeholders[1].text = "step one\nstep two"
slide.notes_slide.notes_text_frame.text = "smile here"
grid = slide.shapes.add_table(2, 2, 0, 0, Inches(2), Inches(1)).table
grid.cell(0, 0).text, grid.cell(1, 1).text = "head", "value"
data = CategoryChartData()
data.categories = ["Q1", "Q2"]
data.add_series("Sales", (1, 2))
slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(3), Inches(3), data)
picture.seek(0)
slide.shapes.add_picture(picture, 0, 0)
show.slides.add_slide(show.slide_layouts[6])
show.save(folder + "/plan.pptx")
"""

ENCRYPTED = r"""
import sys
from pypdf import PdfReader, PdfWriter
source, target, user, owner = sys.argv[1:]
writer = PdfWriter(clone_from=PdfReader(source))
writer.encrypt(user, owner, algorithm="AES-256")
writer.write(target)
"""

TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{TYPES}"/></Types>'
)
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def run(python: Path, script: str, *arguments: str) -> None:
    """Run a script in the documents' environment."""
    done = subprocess.run([python, "-I", "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF with these lines on its pages."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        stream = f"BT /F1 12 Tf 72 720 Td 14 TL {shown} ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>".encode(),
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream".encode(),
        ]
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write("".join(f"{place:010} 00000 n \n" for place in places).encode())
    out.write(f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def word(document: bytes | str, **more: bytes) -> bytes:
    """A Word file whose main part is `document`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("_rels/.rels", RELATIONS)
        archive.writestr("word/document.xml", document)
        for name, content in more.items():
            archive.writestr(f"word/{name}", content)
    return out.getvalue()


def body(text: str) -> str:
    """The main part of a Word file that says `text`."""
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return f'<w:document xmlns:w="{space}"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>'


def events(cache: Path) -> list[str]:
    """What the log says was done."""
    return [json.loads(line)["event"] for line in (cache / "log.jsonl").read_text().splitlines()]
