"""What a tool is: a frozen definition, a subject for the permission rules, and a function.

Invariant: a tool never raises for what the model or the file system did wrong: it returns an `Outcome` with
`is_error`; what it raises is a bug of ours. A tool knows no screen, no vendor and no other tool; what it
needs it got as an argument of its factory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from harness.conversation.blocks import Image, Text
from harness.conversation.canonical import Json
from harness.conversation.events import Tell
from harness.workspace.permissions import Subject

Effect = Literal["none", "agent", "files", "process", "person"]
"""What a call may change: nothing; nothing, but it is never run twice (a sub-agent that only reads); files; anything at
all (a process); nothing, but it waits for a person."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """The definition as the model sees it. `schema` is JSON Schema of an object; frozen at session start."""

    name: str
    description: str
    schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave.

    content: for the model, before capping; text or images, may be empty (the runner puts a placeholder).
    shown: one line for the person, e.g. "12 lines" (plain text; the screen escapes it).
    facts: what must be known after a resume, JSON, journaled; `Seen` gives back {"seen": {path: identity}}.
    blobs: raw contents to keep beside the journal by their SHA-256, e.g. a file as it was read.
    full: the whole output when `content` is already a cut of it (the shell's spill file path), else "".
    """

    content: tuple[Text | Image, ...]
    is_error: bool = False
    shown: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)
    blobs: tuple[bytes, ...] = ()
    full: str = ""


def ok(text: str, shown: str = "", **facts: Json) -> Outcome:
    """A plain text result."""
    return Outcome((Text(text),), shown=shown, facts=facts)


def error(text: str) -> Outcome:
    """An error result: says what was wrong and what to do instead. The person is shown its first line."""
    return Outcome((Text(text),), is_error=True, shown=_head(text))


def _head(text: str) -> str:
    """Its first line, without a last sentence that announces the next ones."""
    first, _, more = text.partition("\n")
    return first.rpartition(". ")[0] if more and first.endswith(":") and ". " in first else first


Run = Callable[[Mapping[str, Json]], Awaitable[Outcome]]
"""Runs one call. The arguments were checked against the schema. Cancellation must leave nothing running."""

RunCall = Callable[[str, Mapping[str, Json], Tell], Awaitable[Outcome]]
"""Runs one call that takes long: its id, its arguments, and where to tell what happens meanwhile."""

Subjects = Callable[[Mapping[str, Json]], Subject]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the runner uses it.

    effect: decides what may run together, whether the journal is synced before a call, and what a resume says of an
    unfinished one.
    effect_of: of one call, where it depends on the arguments. run_call: in place of `run`, for a call that takes long.
    goes_on: whether the call of an id, which was cut off, goes on where it was when it is run again.
    """

    spec: ToolSpec
    run: Run
    subject: Subjects
    effect: Effect = "none"
    effect_of: Callable[[Mapping[str, Json]], Effect] | None = None
    run_call: RunCall | None = None
    goes_on: Callable[[str], bool] | None = None


class Seen(Protocol):
    """What this session knows of files: the journal's answer, or a test's."""

    def identity(self, path: str) -> str | None:
        """The identity (`files.identity`) of what was last read or written at this real path, if ever."""

    def content(self, identity: str) -> bytes | None:
        """The content with that identity, where it was small enough to be kept."""


class NothingSeen:
    """For definitions: no file has been seen before a session begins."""

    def identity(self, path: str) -> str | None:
        """See `Seen`."""

    def content(self, identity: str) -> bytes | None:
        """See `Seen`."""


Vet = Callable[[Path, bytes], str]
"""Why these bytes may not become the content of this file (its real path), in one line; "" where they may."""


Wrote = Callable[[Iterable[Path]], None]
"""Told the paths of files that were written. May block."""


def nobody(_paths: Iterable[Path]) -> None:
    """The `Wrote` that nobody listens to."""


def any_content(_path: Path, _data: bytes) -> str:
    """The `Vet` that refuses nothing."""
    return ""


def definition(spec: ToolSpec) -> dict[str, Json]:
    """The definition in the form every vendor's wire starts from."""
    return {"name": spec.name, "description": spec.description, "input_schema": spec.schema}
