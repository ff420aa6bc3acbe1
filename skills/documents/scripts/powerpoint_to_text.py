"""PowerPoint (.pptx, .pptm, .ppsx) to text: each slide's texts, tables, charts and notes, in the order of its shapes.

Macros, media and linked files are not opened; an image is only named, with its alternative text.
"""

import sys

from pptx.enum.shapes import MSO_SHAPE_TYPE
from pptx.opc.constants import CONTENT_TYPE as CT
from pptx.opc.package import PartFactory
from pptx.oxml import parse_xml
from pptx.package import Package
from pptx.parts.presentation import PresentationPart
from sections import run

DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
VALUES = 200  # per series of a chart


def convert(source, text, _first, _last):
    """Write every slide."""
    for kind in (CT.PML_SLIDESHOW_MAIN, CT.PML_TEMPLATE_MAIN, CT.PML_PRES_MACRO_MAIN):
        PartFactory.part_type_for[kind] = PresentationPart
    part = Package.open(source).presentation_part
    if not isinstance(part, PresentationPart):
        sys.exit(f"its main part is {part.content_type}, no presentation")
    if title := part.core_properties.title:
        text.line(f"Title: {title}")
    for number, slide in enumerate(part.presentation.slides, 1):
        convert_slide(number, slide, text)


def convert_slide(number, slide, text):
    """Write one slide, its notes and its comments."""
    title = slide.shapes.title
    said = title.text_frame.text.strip() if title is not None and title.has_text_frame else ""
    hidden = " (hidden)" if slide._element.get("show") == "0" else ""
    text.section(f"--- slide {number}{hidden}{': ' + said if said else ''} ---")
    for shape in slide.shapes:
        if title is None or shape.shape_id != title.shape_id:
            convert_shape(shape, slide, text)
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None and frame.text.strip():
        text.line(f"Notes: {frame.text.strip()}")
    for rel in slide.part.rels.values():
        if not rel.is_external and rel.reltype.endswith("/comments"):
            for element in parse_xml(rel.target_part.blob).iter():
                if isinstance(element.tag, str) and element.tag.rpartition("}")[2] in ("text", "t") and element.text:
                    text.line(f"(comment: {element.text})")


def convert_shape(shape, slide, text):
    """Write what a shape says."""
    if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
        for inner in shape.shapes:
            convert_shape(inner, slide, text)
    elif shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            if said := "".join(run.text for run in paragraph.runs).strip():
                text.line("  " * paragraph.level + "- " + said)
    elif getattr(shape, "has_table", False) and shape.has_table:
        text.table([cell.text for cell in row.cells] for row in shape.table.rows)
    elif getattr(shape, "has_chart", False) and shape.has_chart:
        convert_chart(shape.chart, text)
    elif (diagram := next(shape._element.iter(DIAGRAM), None)) is not None:
        data = slide.part.related_part(diagram.get(RELATION + "dm"))
        words = [element.text for element in parse_xml(data.blob).iter(DRAWING + "t") if element.text]
        text.line("(diagram: " + "; ".join(words) + ")")
    elif next(shape._element.iter(DRAWING + "blip"), None) is not None:
        words = shape._element._nvXxPr.cNvPr.get("descr")
        text.line(f"(image: {words})" if words else "(image)")


def convert_chart(chart, text):
    """Write a chart as the table that it shows."""
    title = chart.chart_title.text_frame.text if chart.has_title and chart.chart_title.has_text_frame else ""
    text.line(f"(chart: {title})" if title else "(chart)")
    for plot in chart.plots:
        names = [str(name) for name in plot.categories][:VALUES]
        series = list(plot.series)
        text.table(
            [["", *[one.name for one in series]]]
            + [
                [name, *[one.values[place] if place < len(one.values) else "" for one in series]]
                for place, name in enumerate(names)
            ]
        )


if __name__ == "__main__":
    run(convert)
