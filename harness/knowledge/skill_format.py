"""The format of a SKILL.md: the specification (agentskills.io/specification) and the extensions known here.

Invariant: pure and bounded; whatever the bytes are, it gives findings, each with its line, and never raises. Values
stay strings, lists and tables of strings: no tag builds an object, no alias makes a value twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import yaml

from harness.knowledge.files import hidden, shorten, visible

MAX_SKILL_BYTES = 64 * 1024
MAX_FRONT_MATTER_BYTES = 8 * 1024
MAX_BODY_LINES = 500
"""More than these the specification advises against."""

NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
NAME_RULE = "a skill's name has lower-case letters, digits and single hyphens between them, at most 64"

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)
_TOOL = re.compile(r"([^\s,()]+)(?:\(([^()]*)\))?")
_LENGTHS = {"description": 1024, "compatibility": 500, "license": 500, "argument-hint": 200, "model": 200, "agent": 200}
"""Characters. The first two are the specification's."""
_KNOWN = (
    *("name", "description", "license", "compatibility", "metadata", "allowed-tools"),
    *("user-invocable", "disable-model-invocation", "argument-hint", "context", "model", "agent"),
)
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")

OTHER_NAMES = {
    "agent": "invoke_skill",
    "askuserquestion": "ask_user",
    "bash": "shell",
    "ls": "glob",
    "multiedit": "edit",
    "skill": "invoke_skill",
    "task": "invoke_skill",
    "todoread": "todo",
    "todowrite": "todo",
    "webfetch": "web_fetch",
    "websearch": "web_search",
}
"""What other programs call the tools that are here, in lower case."""

Level = Literal["fatal", "error", "warning"]
"""The skill cannot be used; it breaks the specification and can; it works and could be better."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and in which line of the file, from 1."""

    line: int
    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class AllowedTool:
    """A tool that a skill names, as it is called here. pattern: of its calls, e.g. "git diff *"; "": all."""

    name: str
    pattern: str = ""

    def __str__(self) -> str:
        return f"{self.name}({self.pattern})" if self.pattern else self.name


@dataclass(frozen=True, slots=True)
class RunsAs:
    """How a skill wants to be run.

    context: inline: its text joins the conversation; fork: a sub-agent that goes on with it; fresh: one that begins
    without it. model, agent: "": the caller's; a model counts only for `fresh`. allowed_tools: None: it names none.
    A list never admits what the person did not: a sub-agent has what is in both, inline it is only told.
    """

    context: Literal["inline", "fork", "fresh"] = "inline"
    model: str = ""
    agent: str = ""
    allowed_tools: tuple[AllowedTool, ...] | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The front matter of a usable skill. `fields`: all of it as written (strings, lists, tables).

    user_invocable: the person may call it by /name. model_invocable: it is listed, and invoke_skill may call it.
    """

    name: str
    description: str
    license: str = ""
    compatibility: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    runs_as: RunsAs = RunsAs()
    user_invocable: bool = True
    model_invocable: bool = True
    argument_hint: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A SKILL.md. manifest: None where a finding is fatal. raw: the body, its characters not yet made visible."""

    manifest: Manifest | None
    findings: tuple[Finding, ...]
    raw: str = ""

    @property
    def body(self) -> str:
        """The instructions."""
        return visible(self.raw).strip("\n")

    @property
    def fatal(self) -> str:
        """Why it cannot be used, one line; "" where it can."""
        return next((f"SKILL.md:{one.line}: {one.text}" for one in self.findings if one.level == "fatal"), "")


def parse(data: bytes, folder: str = "") -> Parsed:
    """Read a SKILL.md. `folder`: the name its skill must have; "": any."""
    if folder and not NAME.fullmatch(folder):
        return _refused(f"folder name: {NAME_RULE}")
    if len(data) > MAX_SKILL_BYTES:
        return _refused(f"larger than {MAX_SKILL_BYTES} bytes")
    text = data.decode(errors="replace").removeprefix("\ufeff").replace("\r\n", "\n")
    front = _FRONT_MATTER.match(text)
    if front is None:
        return _refused("does not begin with front matter between two lines of `---`")
    found = _front_matter(front[1] or "")
    findings = [*found.findings, *_name(found, folder)]
    raw = text[front.end() :]
    if any(one.level == "fatal" for one in findings):
        return Parsed(None, tuple(findings), raw)
    return Parsed(_manifest(found.fields, folder), tuple(findings), raw)


def check(data: bytes, folder: str = "") -> tuple[Finding, ...]:
    """All that can be said of a SKILL.md, in the order of its lines."""
    parsed = parse(data, folder)
    findings = [*parsed.findings, *_body(parsed.raw, data)]
    if parsed.manifest is not None or parsed.raw:
        findings += [Finding(*one) for one in _hidden(data)]
    return tuple(sorted(findings, key=lambda one: one.line))


# ------------------------------------------------------------------------------------------------ front matter


class _FlatLoader(yaml.BaseLoader):
    """Builds strings, lists and dicts only, and no value twice: a few aliases can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)


@dataclass(frozen=True, slots=True)
class _Front:
    fields: Mapping[str, Any]
    lines: Mapping[str, int]
    findings: tuple[Finding, ...]


def _refused(text: str, line: int = 1) -> Parsed:
    return Parsed(None, (Finding(line, "fatal", text),))


@lru_cache(maxsize=1024)
def _front_matter(raw: str) -> _Front:
    """Kept by its text: YAML takes a millisecond, and every skill is read on every turn."""
    if len(raw.encode()) > MAX_FRONT_MATTER_BYTES:
        return _Front({}, {}, (Finding(1, "fatal", f"front matter is larger than {MAX_FRONT_MATTER_BYTES} bytes"),))
    loader = _FlatLoader(visible(raw))
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            return _Front({}, {}, (Finding(1, "fatal", "front matter is not a table of `key: value` lines"),))
        fields = loader.construct_document(node)
        # the first line of the file is the `---`
        keys = [(str(key.value), key.start_mark.line + 2) for key, _ in node.value]
    except (yaml.YAMLError, RecursionError) as error:
        return _Front({}, {}, (_invalid(error),))
    finally:
        loader.dispose()
    lines: dict[str, int] = {}
    twice = []
    for key, line in keys:
        if key in lines:
            twice.append(Finding(line, "fatal", f"`{key:.80}` stands twice, first in line {lines[key]}"))
        lines.setdefault(key, line)
    return _Front(fields, lines, (*twice, *_fields(fields, lines)))


def _invalid(error: yaml.YAMLError | RecursionError) -> Finding:
    # where something open began, rather than where the text ended
    open_end = "end of stream" in str(getattr(error, "problem", ""))
    mark = getattr(error, "context_mark" if open_end else "problem_mark", None)
    what = getattr(error, "problem", None) or (str(error) if isinstance(error, yaml.YAMLError) else "nested too deeply")
    text = shorten(" ".join(f"front matter is not valid YAML: {what}".split()), 200)
    return Finding(mark.line + 2 if mark else 1, "fatal", text)


def _name(found: _Front, folder: str) -> Iterator[Finding]:
    if any(one.level == "fatal" for one in found.findings):
        return
    name, line = found.fields.get("name"), found.lines.get("name", 1)
    if name is None:
        level: Level = "error" if folder else "fatal"
        yield Finding(1, level, "no `name`: the specification wants that of the folder")
    elif folder and name != folder:
        yield Finding(line, "fatal", f"`name` is {name!r:.80}, but the folder is `{folder}`")
    elif not isinstance(name, str) or not NAME.fullmatch(name):
        yield Finding(line, "fatal", f"`name` is {name!r:.80}: {NAME_RULE}")


def _fields(fields: Mapping[str, Any], lines: Mapping[str, int]) -> Iterator[Finding]:
    """All fields but the name."""
    description = fields.get("description")
    if not isinstance(description, str) or not description.strip():
        yield Finding(lines.get("description", 1), "fatal", "front matter has no `description`")
    for key, limit in _LENGTHS.items():
        value = fields.get(key, "")
        if not isinstance(value, str):
            yield Finding(lines[key], "error", f"`{key}` is not text")
        elif len(value) > limit:
            yield Finding(lines[key], "error", f"`{key}` has {len(value)} characters; at most {limit}")
        elif key in fields and not value.strip() and key != "description":
            yield Finding(lines[key], "error" if key == "compatibility" else "warning", f"`{key}` is empty")
    for key in ("user-invocable", "disable-model-invocation"):
        # not guessed: it may be what keeps a model from deploying
        if _truth(fields.get(key, "true")) is None:
            yield Finding(lines[key], "fatal", f"`{key}` is {fields[key]!r:.80}; write true or false")
    if fields.get("context", "fork") not in ("fork", "fresh", "inline"):
        yield Finding(lines["context"], "error", f"`context` is {fields['context']!r:.80}; write fork or fresh")
    if "model" in fields and fields.get("context") != "fresh":
        yield Finding(lines["model"], "warning", "`model` counts only with `context: fresh`")
    yield from _metadata(fields, lines)
    yield from _tools_findings(fields, lines)
    for key in fields:
        if key not in _KNOWN:
            where = lines.get(key, 1)
            yield Finding(where, "warning", f"`{key:.80}` is not known here; facts of your own go under `metadata`")


def _metadata(fields: Mapping[str, Any], lines: Mapping[str, int]) -> Iterator[Finding]:
    value = fields.get("metadata", {})
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        yield Finding(lines["metadata"], "error", "`metadata` is not a table of texts")


def _tools_findings(fields: Mapping[str, Any], lines: Mapping[str, int]) -> Iterator[Finding]:
    value = fields.get("allowed-tools")
    if value is None:
        return
    line = lines["allowed-tools"]
    if isinstance(value, dict) or (isinstance(value, list) and not all(isinstance(one, str) for one in value)):
        yield Finding(line, "error", "`allowed-tools` is not a list of tools")
    elif not _tools(value):
        yield Finding(line, "warning", "`allowed-tools` names none: it is as if it were not there")
    elif isinstance(value, list) or "," in re.sub(r"\([^()]*\)", "", value):
        yield Finding(line, "warning", "`allowed-tools`: the specification has one text, separated by spaces")


def _truth(value: object) -> bool | None:
    word = value.lower() if isinstance(value, str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def _tools(value: object) -> tuple[AllowedTool, ...] | None:
    """The tools of a text or a list; None where it names none."""
    text = " ".join(one for one in value if isinstance(one, str)) if isinstance(value, list) else value
    if not isinstance(text, str):
        return None
    found = []
    for name, pattern in _TOOL.findall(text):
        ours = OTHER_NAMES.get(name.lower(), name.lower())
        # `git diff:*` is the older form of `git diff *`
        found.append(AllowedTool(ours, re.sub(r":\*\Z", " *", pattern.strip())))
    return tuple(dict.fromkeys(found)) or None


def _manifest(fields: Mapping[str, Any], folder: str) -> Manifest:
    """What can be used of fields without a fatal finding."""

    def text(key: str) -> str:
        value = fields.get(key, "")
        return shorten(" ".join(value.split()), 4096) if isinstance(value, str) else ""

    context: Literal["inline", "fork", "fresh"] = "inline"
    match fields.get("context"):
        case "fork":
            context = "fork"
        case "fresh":
            context = "fresh"
        case _:
            pass
    metadata = fields.get("metadata")
    facts = {key: one for key, one in metadata.items() if isinstance(one, str)} if isinstance(metadata, dict) else {}
    return Manifest(
        name=folder or fields["name"],
        description=text("description"),
        license=text("license"),
        compatibility=text("compatibility"),
        metadata=facts,
        runs_as=RunsAs(context, text("model"), text("agent"), _tools(fields.get("allowed-tools"))),
        user_invocable=_truth(fields.get("user-invocable", "true")) is True,
        model_invocable=_truth(fields.get("disable-model-invocation", "false")) is False,
        argument_hint=text("argument-hint"),
        fields=fields,
    )


# ------------------------------------------------------------------------------------------------ the rest of the file


def _body(raw: str, data: bytes) -> Iterator[Finding]:
    first = data.count(b"\n") - raw.count("\n") + 1
    if not raw.strip():
        yield Finding(max(first, 1), "warning", "it has no instructions behind its front matter")
    elif raw.count("\n") > MAX_BODY_LINES:
        yield Finding(first, "warning", f"more than {MAX_BODY_LINES} lines: move what is rarely needed to other files")


def _hidden(data: bytes) -> Iterator[tuple[int, Level, str]]:
    for line, codes in hidden(data.decode(errors="replace")):
        yield line, "warning", f"characters that cannot be seen: {', '.join(codes)}; the model gets them written out"
