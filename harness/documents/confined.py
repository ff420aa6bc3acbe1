"""Runs one conversion script on one document within limits: a program of its own, in the documents' environment.

Usage: confined.py SCRIPT INPUT OUTPUT RANGE SECONDS MEGABYTES. Imports nothing of ours. Its last line on stderr says
why it failed; exit codes: 0 done, 3 the document was refused, 4 the script failed, 5 out of memory.

Invariant: whatever the document or the script does, the process ends with its parent or within its processor time,
holds no more memory than allowed (where the system keeps that limit: Linux), opens no connection, and no XML with a
document type (where entities are declared) reaches a library. The script runs as the person: this is no sandbox.
"""

from __future__ import annotations

import os
import resource
import runpy
import sys
import threading
import time
import traceback
import zipfile
from pathlib import Path
from typing import IO
from xml.parsers import expat

_OUTPUT = 64 * 1024 * 1024
_PIECE = 1 << 16
_PROLOG = 1 << 20
"""Bytes within which an XML part must begin its first element."""

_UNPARSED = (".htm", ".html", ".xhtml", ".mht", ".mhtml", ".svg")
"""What may be embedded with a document type, and is parsed by no library."""


class _Refused(Exception):
    """The document is not converted; says why."""


def main() -> int:
    """Run the script named on the command line; the exit code."""
    script, source, target, pages, seconds, megabytes = sys.argv[1:]
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    _limit(int(seconds), int(megabytes) * 1024 * 1024)
    sys.addaudithook(_refuse_connections)
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script, source, target, pages]
    try:
        if zipfile.is_zipfile(source):
            _refuse_doctypes(source)
        runpy.run_path(script, run_name="__main__")
    except _Refused as refused:
        return _ended(3, str(refused))
    except SystemExit as end:
        return _ended(3, end.code) if isinstance(end.code, str) else int(end.code or 0)
    except MemoryError:
        return _ended(5, f"it needs more than {megabytes} MB of memory")
    except Exception as error:  # noqa: BLE001 - the script is the person's: whatever it raises is told
        return _ended(4, _where(error, script))
    return 0


def _ended(code: int, text: str) -> int:
    sys.stderr.write("\n" + " ".join(text.split())[:600] + "\n")
    return code


def _where(error: Exception, script: str) -> str:
    """The error and the last place in the person's scripts on the way to it."""
    folder = str(Path(script).parent)
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(folder)]
    where = f" ({Path(places[-1].filename).name}, line {places[-1].lineno})" if places else ""
    return f"{type(error).__name__}: {error}{where}"


def _limit(seconds: int, memory: int) -> None:
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, _OUTPUT),
        (resource.RLIMIT_CORE, 0),
        *([(resource.RLIMIT_AS, memory)] if sys.platform == "linux" else []),
    ):
        hard = resource.getrlimit(what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, hard))


def _end_with(parent: int) -> None:
    """A killed parent must not leave this running."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _refuse_connections(event: str, _: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"):
        raise PermissionError("a conversion opens no connection")


def _refuse_doctypes(source: str) -> None:
    """Office documents declare no document type; who does wants entities that unfold or that read other files."""
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            if entry.filename.lower().endswith(_UNPARSED):
                continue
            with archive.open(entry) as part:
                if _has_doctype(part):
                    raise _Refused(f"its part {entry.filename[:100]} declares a document type, which none may")


class _Begun(Exception):
    """The first element was reached."""


def _has_doctype(part: IO[bytes]) -> bool:
    """Asks the parser itself, so that encodings and comments hide nothing. What is no XML has none."""
    found: list[str] = []

    def begin(*_: object) -> None:
        raise _Begun

    def doctype(name: str, *_: object) -> None:
        found.append(name)
        raise _Begun

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.StartDoctypeDeclHandler = doctype
    read = 0
    try:
        while piece := part.read(_PIECE):
            parser.Parse(piece, False)  # noqa: FBT003 - it takes no keyword
            read += len(piece)
            if read > _PROLOG:
                return True
    except (_Begun, expat.ExpatError):
        pass
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
