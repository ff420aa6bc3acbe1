"""Word (.docx, .docm, .dotx) to text: headings, paragraphs, lists and tables in their order, then notes and comments.

Macros and linked files are not opened. Tracked insertions are part of the text, tracked deletions are not.
"""

import sys

import docx.package
from docx.opc.constants import CONTENT_TYPE as CT
from docx.opc.part import PartFactory
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from docx.parts.document import DocumentPart
from sections import run

KINDS = (
    CT.WML_DOCUMENT_MAIN,
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
)
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
DELETED = {qn("w:del"), qn("w:moveFrom")}
DRAWN = {qn("w:drawing"), qn("w:pict"), qn("w:object")}
REFERENCES = {qn("w:footnoteReference"): "", qn("w:endnoteReference"): "e", qn("w:commentReference"): "c"}


def convert(source, text, _first, _last):
    """Write the whole document."""
    for kind in KINDS:
        PartFactory.part_type_for[kind] = DocumentPart
    part = docx.package.Package.open(source).main_document_part
    if not isinstance(part, DocumentPart):
        sys.exit(f"its main part is {part.content_type}, no Word document")
    document = Document(part, text)
    title = part.document.core_properties.title
    if title:
        text.line(f"Title: {title}")
    document.blocks(part.element.body)
    document.headers()
    document.notes("footnotes", qn("w:footnote"), "")
    document.notes("endnotes", qn("w:endnote"), "e")
    document.comments()


class Document:
    """One document on its way to text."""

    def __init__(self, part, text):
        self.part = part
        self.text = text
        self.styles = {style.style_id: style.name for style in part.document.styles}

    def blocks(self, container):
        """Paragraphs and tables, those in content controls too."""
        for child in container.iterchildren():
            if child.tag == qn("w:p"):
                self.paragraph(child)
            elif child.tag == qn("w:tbl"):
                self.text.table(self.rows(child))
            elif child.tag in (qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:moveTo"), qn("w:customXml")):
                self.blocks(child)

    def paragraph(self, element):
        """One paragraph: a heading, an item of a list, or prose."""
        said = self.said(element).strip()
        if not said:
            return
        level = self.level(element)
        if level:
            self.text.section("#" * level + " " + said)
        else:
            self.text.line(self.item(element) + said)

    def style(self, element):
        """The name of a paragraph's style."""
        found = element.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
        return self.styles.get(found.get(qn("w:val")), "") if found is not None else ""

    def level(self, element):
        """1 to 6 for a heading, else 0."""
        name = self.style(element)
        outline = element.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
        if name == "Title":
            return 1
        if name.startswith("Heading ") and name[8:].isdecimal():
            return min(int(name[8:]), 6)
        if outline is not None and outline.get(qn("w:val"), "9") in "012345":
            return int(outline.get(qn("w:val"))) + 1
        return 0

    def item(self, element):
        """What leads an item of a list."""
        number = element.find(f"{qn('w:pPr')}/{qn('w:numPr')}")
        name = self.style(element)
        if number is None and not name.startswith("List"):
            return ""
        depth = number.find(qn("w:ilvl")) if number is not None else None
        indent = int(depth.get(qn("w:val"))) if depth is not None else 0
        return "  " * indent + ("1. " if name.startswith("List Number") else "- ")

    def said(self, element):
        """The text of an element and of what is in it."""
        pieces = []
        for child in element.iterchildren():
            tag = child.tag
            if tag in (qn("w:t"), MATH_TEXT):
                pieces.append(child.text or "")
            elif tag == qn("w:tab"):
                pieces.append("\t")
            elif tag in (qn("w:br"), qn("w:cr")):
                pieces.append("" if child.get(qn("w:type")) == "page" else "\n")
            elif tag == qn("w:noBreakHyphen"):
                pieces.append("-")
            elif tag in REFERENCES:
                pieces.append(f"[^{REFERENCES[tag]}{child.get(qn('w:id'))}]")
            elif tag in DRAWN:
                pieces.append(self.drawn(child))
            elif tag == qn("w:hyperlink"):
                pieces.append(self.link(child))
            elif tag == MC + "AlternateContent":
                chosen = child.find(MC + "Choice")
                pieces.append(self.said(chosen if chosen is not None else child))
            elif isinstance(tag, str) and tag not in DELETED and tag not in (qn("w:pPr"), qn("w:rPr")):
                pieces.append(self.said(child))
        return "".join(pieces)

    def link(self, element):
        """A link's text with its address."""
        said = self.said(element)
        found = self.part.rels.get(element.get(qn("r:id")))
        address = found.target_ref if found is not None and found.is_external else ""
        return f"{said} ({address})" if address and address != said else said

    def drawn(self, element):
        """An image, or the text of a box."""
        boxes = [self.said(box).strip() for box in element.iter(qn("w:txbxContent"))]
        if any(boxes):
            return " [text box: " + " / ".join(box for box in boxes if box) + "] "
        about = next(element.iter(qn("wp:docPr")), None)
        words = (about.get("descr") or about.get("title")) if about is not None else ""
        return f" (image: {words}) " if words else " (image) "

    def rows(self, table):
        """The cells of a table; what is merged stands in its first cell."""
        for row in table.iter(qn("w:tr")):
            if next(row.iterancestors(qn("w:tbl"))) is not table:
                continue  # of a table within a cell, which is told there
            yield [
                text
                for cell in row.iter(qn("w:tc"))
                if next(cell.iterancestors(qn("w:tr"))) is row
                for text in self.cell(cell)
            ]

    def cell(self, element):
        """A cell's text, and an empty one for each further column that it spans."""
        merged = element.find(f"{qn('w:tcPr')}/{qn('w:vMerge')}")
        span = element.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}")
        width = min(int(span.get(qn("w:val"))), 100) if span is not None else 1
        if merged is not None and merged.get(qn("w:val")) != "restart":
            return [""] * width
        lines = []
        for child in element.iterchildren():
            if child.tag == qn("w:tbl"):
                lines.append("[table: " + "; ".join(", ".join(row) for row in self.rows(child)) + "]")
            elif child.tag != qn("w:tcPr"):
                lines.append(self.said(child))
        return ["\n".join(lines), *[""] * (width - 1)]

    def headers(self):
        """Headers and footers, each text once."""
        said = {}
        for rel in self.part.rels.values():
            if not rel.is_external and rel.reltype.rpartition("/")[2] in ("header", "footer"):
                paragraphs = (self.said(one).strip() for one in rel.target_part.element.iter(qn("w:p")))
                words = " / ".join(filter(None, paragraphs))
                if words:
                    said.setdefault(words, rel.reltype.rpartition("/")[2])
        if said:
            self.text.section("--- headers and footers ---")
            for words, kind in said.items():
                self.text.line(f"{kind}: {words}")

    def notes(self, kind, tag, prefix):
        """Footnotes or endnotes."""
        for rel in self.part.rels.values():
            if rel.is_external or rel.reltype.rpartition("/")[2] != kind:
                continue
            root = parse_xml(rel.target_part.blob)
            found = [note for note in root.iter(tag) if note.get(qn("w:type")) in (None, "normal")]
            if found:
                self.text.section(f"--- {kind} ---")
            for note in found:
                self.text.line(f"[^{prefix}{note.get(qn('w:id'))}] {self.said(note).strip()}")

    def comments(self):
        """What reviewers wrote."""
        if not any(rel.reltype.endswith("/comments") for rel in self.part.rels.values()):
            return
        found = list(self.part.document.comments)
        if found:
            self.text.section("--- comments ---")
        for comment in found:
            self.text.line(f"[^c{comment.comment_id}] {comment.author or 'somebody'}: {comment.text.strip()}")


if __name__ == "__main__":
    run(convert)
