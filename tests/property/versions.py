"""A journal as another version of the program would have written it.

Invariant: checksums and chain are whole, and nothing that was sent becomes another: the tools and the system text are
only where no request was made yet.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.conversation.lines import read_records
from tests.replay.tampering import written

OTHER = "0.0.0-other"
_OTHERS = rb'"version":"0\.0\.0-other\d+"'


def rewrite(folder: Path) -> bytes:
    """Change a session's journal; gives its new bytes."""
    path, records = folder / "journal.jsonl", []
    raw = path.read_bytes()
    sent = b'"kind":"request"' in raw
    # each time yet another one: two versions do not write the same
    version = f"{OTHER}{len(set(re.findall(_OTHERS, raw)))}"
    for record in read_records(path):
        data = json.loads(json.dumps(record.data))
        if record.kind in ("session", "model") and not data.get("version", OTHER).startswith(OTHER):
            data["version"] = version
        if record.kind == "prefix" and not sent:
            _older(data)
        records.append(replace(record, data=data))
    written(folder, records)
    return path.read_bytes()


def _older(data: dict[str, Any]) -> None:
    """Fewer tools and another text: of a version that no longer is, or is not yet."""
    text = json.loads(data["static"])
    if text["text"].endswith(OTHER):
        return
    text["text"] += f"\n\nThis is version {OTHER}"
    data["static"] = json.dumps(text, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    data["tools"] = [tool for tool in data["tools"] if '"name":"todo"' not in tool]
    fragments = [*data["tools"], data["static"], data["session"]]
    data["digests"] = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in fragments]
