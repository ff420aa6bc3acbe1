"""Excel (.xlsx, .xlsm, .xltx) to text: each sheet as rows with their numbers under the letters of their columns.

The values are those that were stored with the file; a formula stands behind its value: `600 [=SUM(B2:B4)]`. Nothing is
computed, and neither macros nor linked workbooks are opened.
"""

import datetime as dt
import sys
import warnings
import zipfile

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter
from sections import run

FORMULAS = 500  # per sheet; the rest is values only
LARGE = 60_000_000  # bytes of sheets, uncompressed, from which the workbook is read row by row


def convert(source, text, _first, _last):
    """Write every sheet."""
    warnings.simplefilter("ignore")
    with zipfile.ZipFile(source) as archive:
        large = sum(entry.file_size for entry in archive.infolist() if entry.filename.startswith("xl/")) > LARGE
    # As a file: openpyxl judges a name by its ending.
    with open(source, "rb") as file:
        values = load_workbook(file, data_only=True, read_only=large, keep_links=False)
        if not values.worksheets and not values.chartsheets:
            sys.exit("it has no sheets")
        if large:
            text.line("(a large workbook: values only, no formulas, comments or merged ranges)")
            for sheet in values.worksheets:
                read_by_row(sheet, text)
            return
        names(values, text)
        file.seek(0)
        formulas = load_workbook(file, keep_links=False)
        for sheet in values.worksheets:
            read_whole(sheet, formulas[sheet.title], text)
        for chart in values.chartsheets:
            text.section(f'--- sheet "{chart.title}" ---')
            text.line("(a chart)")


def names(workbook, text):
    """Defined names of the workbook."""
    for name, found in list(workbook.defined_names.items())[:200]:
        text.line(f"Name {name} = {found.attr_text}")


def head(sheet, span, text):
    """The line that begins a sheet."""
    hidden = "" if sheet.sheet_state == "visible" else ", hidden"
    text.section(f'--- sheet "{sheet.title}" {span}{hidden} ---')


def shown(value):
    """A value as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)


def header(columns, text):
    """The letters of the columns."""
    text.row(["", *columns])
    text.row(["---"] * (len(columns) + 1))


def read_whole(sheet, formulas, text):
    """A sheet with formulas, comments and merged ranges. Walks the cells that are there, not the range they span."""
    rows = {}
    for (row, column), cell in sheet._cells.items():
        formula = formulas._cells[row, column]
        if cell.value is not None or formula.value is not None:
            rows.setdefault(row, {})[column] = (cell, formula)
    if not rows:
        head(sheet, "(empty)", text)
    else:
        columns = sorted({column for cells in rows.values() for column in cells})
        letters = {column: get_column_letter(column) for column in columns}
        head(sheet, f"{letters[columns[0]]}{min(rows)}:{letters[columns[-1]]}{max(rows)}", text)
        header(letters.values(), text)
        told = 0
        for number in sorted(rows):
            cells = rows[number]
            last = max(cells)
            line = []
            for column in columns:
                if column > last:
                    break
                said, is_formula = cell_text(*cells[column], told < FORMULAS) if column in cells else ("", False)
                told += is_formula
                line.append(said)
            text.row([number, *line])
        if told > FORMULAS:
            text.line(f"({told - FORMULAS:,} more formulas are left out; their values are above)")
    about(sheet, text)


def cell_text(cell, formula, tell):
    """A cell's value, its formula behind it; whether it has one."""
    value = shown(cell.value)
    if formula.data_type != "f":
        return value, False
    source = getattr(formula.value, "text", None) or formula.value
    said = f"[{source if str(source).startswith('=') else '=' + str(source)}]" if tell else ""
    return f"{value if cell.value is not None else '(no value stored)'} {said}".strip(), True


def about(sheet, text):
    """What belongs to cells or stands on them."""
    if merged := sorted(str(span) for span in sheet.merged_cells.ranges):
        text.line("Merged: " + ", ".join(merged[:200]))
    for cell in sheet._cells.values():
        if cell.comment:
            text.line(f"Comment on {cell.coordinate} by {cell.comment.author or 'somebody'}: {cell.comment.text}")
        if cell.hyperlink and cell.hyperlink.target:
            text.line(f"Link on {cell.coordinate}: {cell.hyperlink.target}")
    for _ in sheet._images:
        text.line("(image)")
    for _ in sheet._charts:
        text.line("(chart)")


def read_by_row(sheet, text):
    """A sheet of a large workbook."""
    head(sheet, sheet.calculate_dimension(force=True), text)
    for number, row in enumerate(sheet.iter_rows(values_only=True), sheet.min_row or 1):
        line = [shown(value) for value in row]
        while line and not line[-1]:
            line.pop()
        if line:
            text.row([number, *line])


if __name__ == "__main__":
    run(convert)
