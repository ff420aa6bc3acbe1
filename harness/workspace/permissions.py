"""May this call run? A mode, the person's allow rules and what the call touches give a yes or a reasoned no.

Invariant: pure but for following symlinks; whatever is not understood is refused; every refusal names the
flag with which the person can allow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, assert_never

from harness.config_values import Mode
from harness.errors import UsageError
from harness.workspace import command as shell
from harness.workspace import escapes, globs
from harness.workspace.address import parse
from harness.workspace.paths import Workspace


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call touches, for the permission rules.

    kind: "read" | "write" (paths) | "shell" (command) | "web" (hosts) | "none".
    paths: absolute paths as given, symlinks not yet resolved. command: the shell command, or the web address. preview:
    what would be written, for the person who is asked. hosts: as `address.Target.place` spells them.
    """

    kind: Literal["read", "write", "shell", "web", "none"]
    paths: tuple[str, ...] = ()
    command: str = ""
    preview: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One allow rule.

    text: as typed. words: of a shell rule. pattern: of a path rule; of a web rule the host or "*".
    """

    kind: Literal["read", "write", "shell", "web"]
    text: str
    words: tuple[str, ...] = ()
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The call may run."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The call may not run. reason: why, for the model. flag: what the person could start with instead."""

    reason: str
    flag: str

    @property
    def text(self) -> str:
        """The result the model gets."""
        return f"refused: {self.reason}; the person can start with {self.flag}"


NOBODY = Refused('the mode "ask" runs nothing that nobody is there to allow', "--permission-mode edit or yolo")
"""What a call gets that asks where nobody is there."""


@dataclass(frozen=True, slots=True)
class Asks:
    """The person decides. what: all that the call would do. grant: what "this session" would admit; None: only once.

    nobody: what the call gets where nobody is there.
    """

    what: str
    grant: Rule | None = None
    nobody: Refused = NOBODY


Decision = Allowed | Refused | Asks


def path_subject(workspace: Workspace, kind: Literal["read", "write"], path_text: str, preview: str = "") -> Subject:
    """What a call on one path touches. A path that cannot exist is kept as typed: it is inside nothing."""
    try:
        return Subject(kind, (str(workspace.resolve(path_text)),), preview=preview)
    except UsageError:
        return Subject(kind, (path_text,), preview=preview)


def parse_rule(text: str) -> Rule:
    """A rule as typed: `shell(pytest *)`, `write(docs/**)`, `read(/var/log/**)`, `web_fetch(docs.python.org)`.

    Raises:
        UsageError: not of this form; the message quotes the rule.
    """
    match = re.fullmatch(r"\s*(shell|read|write|web_fetch)\((.*)\)\s*", text, re.DOTALL)
    inner = match[2].strip() if match else ""
    if match is None or not inner:
        raise UsageError(
            f"bad rule {text!r}: write shell(COMMAND), read(PATH), write(PATH) or web_fetch(HOST), e.g. shell(pytest *)"
        )
    if match[1] == "web_fetch":
        return Rule("web", text.strip(), pattern=_host(text, inner))
    if match[1] != "shell":
        if "\0" in inner or ".." in inner.split("/"):
            raise UsageError(f"bad rule {text!r}: a path pattern may hold neither '..' nor NUL")
        return Rule("read" if match[1] == "read" else "write", text.strip(), pattern=inner)
    words = _rule_words(inner)
    if words is None:
        raise UsageError(f"bad rule {text!r}: a rule is one simple command, without ; | & < > ( ) $ or open quotes")
    if "*" in words[0] and words != ("*",):
        raise UsageError(f"bad rule {text!r}: the first word is the program's name and may not hold *")
    return Rule("shell", text.strip(), words)


def _host(text: str, inner: str) -> str:
    """The place that a web rule names, in its one spelling."""
    if inner == "*":
        return inner
    try:
        found = parse(f"https://{inner}")
    except UsageError as problem:
        raise UsageError(f"bad rule {text!r}: {problem}") from None
    if found.path != "/" or inner.endswith("/"):
        raise UsageError(f"bad rule {text!r}: name a host, e.g. web_fetch(docs.python.org), or web_fetch(*)")
    return found.place


def _rule_words(inner: str) -> tuple[str, ...] | None:
    # In a rule `*` is ours, not the shell's; where it leads a word, the scanner must not take it for a file
    # pattern.
    mark = "※"
    if mark in inner:
        return None
    found = shell.words(inner.replace("*", mark))
    return tuple(word.replace(mark, "*") for word in found) if found else None


def parse_rules(texts: Iterable[str]) -> tuple[Rule, ...]:
    """`parse_rule` for each.

    Raises:
        UsageError: the first bad one.
    """
    return tuple(parse_rule(text) for text in texts)


def decide(mode: Mode, rules: Sequence[Rule], subject: Subject, workspace: Workspace) -> Decision:
    """Whether a call that touches `subject` may run.

    plan: reads only, rules or not. ask: what a rule admits; the person decides on the rest. edit: also writes inside
    the workspace, and commands that a rule admits; of their own memory and skills the person decides there too. yolo:
    everything. Fetching a page is a read that can carry words away: except in yolo a rule or the person has to name its
    host.
    """
    if subject.kind in ("none", "read"):
        return Allowed()
    match mode:
        case "yolo":
            return Allowed()
        case "plan" | "ask" | "edit" if subject.kind == "web":
            return _fetch(mode, rules, subject)
        case "plan":
            what = "runs no command" if subject.kind == "shell" else "changes no file"
            return Refused(f'the mode "plan" {what}', "--permission-mode edit")
        case "ask" if subject.kind == "shell":
            return _ask_command(rules, subject.command)
        case "ask":
            return _ask_writes(rules, subject, workspace)
        case "edit" if subject.kind == "shell":
            return _command(rules, subject.command)
        case "edit":
            return _writes(rules, subject, workspace)
        case _:
            assert_never(mode)


def _fetch(mode: Mode, rules: Sequence[Rule], subject: Subject) -> Decision:
    def admitted(host: str) -> bool:
        return any(rule.kind == "web" and rule.pattern in (host, *_any_host(host)) for rule in rules)

    missing = [host for host in subject.hosts if not admitted(host)]
    if not missing:
        return Allowed()
    rule = f"web_fetch({missing[0]})"
    refused = Refused(f'the mode "{mode}" fetches only from hosts that a rule names', f"--allow '{rule}'")
    return refused if mode == "edit" else Asks(subject.command, parse_rule(rule), refused)


def _any_host(host: str) -> tuple[str, ...]:
    """`*` stands for every host, on the ports of the web only."""
    return () if re.search(r":[0-9]+\Z", host) and not host.endswith("]") else ("*",)


def admits(rule: Rule, words: Sequence[str]) -> bool:
    """Whether a shell rule covers the words of a simple command.

    The first word must be equal; `*` within a word is any text; `*` as the last word is any number of words,
    also none. Escapes (`escapes.found`) must stand in the rule literally.
    """
    if rule.kind != "shell":
        return False
    pattern = rule.words
    open_end = pattern[-1] == "*"
    fixed = pattern[:-1] if open_end else pattern
    if len(words) < len(fixed) or (len(words) > len(fixed) and not open_end):
        return False
    if fixed and fixed[0] != words[0]:
        return False
    if not all(fnmatchcase(word, _literal(part)) for part, word in zip(fixed, words, strict=False)):
        return False
    named = {part.split("=", 1)[0] if part.startswith("--") else part for part in pattern}
    return all(escape in named for escape in escapes.found(words))


def _literal(part: str) -> str:
    """Only `*` is special in a rule; `?` and `[` stand for themselves."""
    return part.replace("[", "[[]").replace("?", "[?]")


def _command(rules: Sequence[Rule], command: str) -> Decision:
    words = shell.words(command)
    yolo = "--permission-mode yolo"
    if words is None:
        return Refused(
            'the mode "edit" runs only single commands that a rule allows, and this one is chained, '
            "redirected, substituted or not plain; run one simple command per call",
            yolo,
        )
    if any(admits(rule, words) for rule in rules):
        return Allowed()
    found = escapes.found(words)
    if found and any(rule.kind == "shell" and rule.words[0] in ("*", words[0]) for rule in rules):
        return Refused(f"no rule names {found[0][:80]!r} literally, and it can run or write anything", yolo)
    plain = re.fullmatch(r"[A-Za-z0-9_./+-]{1,60}", words[0]) and not found
    flag = f"--allow 'shell({words[0]} *)' or {yolo}" if plain else yolo
    return Refused('the mode "edit" runs only commands that a rule allows, and none allows this one', flag)


def _writes(rules: Sequence[Rule], subject: Subject, workspace: Workspace) -> Decision:
    decision: Decision = Allowed()
    for text in subject.paths:
        match _write(rules, text, workspace):
            case Refused() as refused:
                return refused
            case Asks(_, _, nobody):
                decision = Asks(_whole(subject, text), nobody=nobody)
            case Allowed():
                pass
    return decision


def _write(rules: Sequence[Rule], text: str, workspace: Workspace) -> Decision:
    """One path, in the mode "edit"."""
    path = Path(text)
    if "\0" not in text and workspace.project_note(path):
        return Allowed()
    if "\0" not in text and workspace.asked(path):
        if _ruled(rules, path, workspace):
            return Allowed()
        why = 'the mode "edit" asks before it writes memory and skills of the person, and nobody is there'
        return Asks(text, nobody=Refused(why, f"--allow 'write({path.parent}/*)' or --permission-mode yolo"))
    if "\0" not in text and workspace.protected(path):
        return Refused(f'the mode "edit" writes nothing in .git and .harness ({text})', "--permission-mode yolo")
    if not workspace.inside(path) and not _ruled(rules, path, workspace):
        return Refused(
            f'the mode "edit" writes only inside the workspace, and {text} leads outside it',
            "--add-dir FOLDER or --permission-mode yolo",
        )
    return Allowed()


def _whole(subject: Subject, path: str) -> str:
    return f"{path}\n{subject.preview}" if subject.preview else path


_INTERPRETERS = re.compile(r"(python|pypy|node|ruby|perl|php|lua|deno|bun|bash|sh|zsh|fish|ssh|make)[0-9.]*")
"""Programs that run whatever their arguments say: a grant for one is for the very command."""


def _ask_command(rules: Sequence[Rule], command: str) -> Decision:
    words = shell.words(command)
    if words is None:
        return Asks(command)
    if any(admits(rule, words) for rule in rules):
        return Allowed()
    return Asks(command, _grant(words))


def _grant(words: Sequence[str]) -> Rule | None:
    """The rule that "this session" adds for a command: its program, with its subcommand where it has one.

    The very command for an interpreter; none for a program that is known to run others or to write elsewhere, and
    none for words that a rule cannot spell.
    """
    if escapes.found(words) or not all(re.fullmatch(r"[A-Za-z0-9_./:=,@+-]+", word) for word in words):
        return None
    if _INTERPRETERS.fullmatch(Path(words[0]).name):
        return parse_rule(f"shell({' '.join(words)})")
    subcommand = words[1:2] if words[1:] and re.fullmatch(r"[a-z][a-z-]*", words[1]) else ()
    return parse_rule(f"shell({' '.join((words[0], *subcommand))} *)")


def _ask_writes(rules: Sequence[Rule], subject: Subject, workspace: Workspace) -> Decision:
    for text in subject.paths:
        path = Path(text)
        plain = "\0" not in text and not workspace.protected(path)
        if plain and _ruled(rules, path, workspace):
            continue
        inside = plain and workspace.real(path).is_relative_to(workspace.real(workspace.root))
        return Asks(_whole(subject, text), parse_rule("write(**)") if inside and not workspace.asked(path) else None)
    return Allowed()


def _ruled(rules: Sequence[Rule], path: Path, workspace: Workspace) -> bool:
    """Whether a rule admits a write there. What waits for the person is admitted only by a rule that means it."""
    meant = ("/", "~") if "\0" not in str(path) and workspace.asked(path) else ""
    return any(rule.pattern.startswith(meant) and _covers(rule, path, workspace) for rule in rules)


def _covers(rule: Rule, path: Path, workspace: Workspace) -> bool:
    """Whether a write rule's pattern matches the place `path` really leads to."""
    if rule.kind != "write" or "\0" in str(path):
        return False
    real = workspace.real(path)
    pattern = rule.pattern
    if pattern.startswith("~/") and workspace.home is not None:
        pattern = str(workspace.home) + pattern[1:]
    if pattern.startswith("/"):
        return globs.matches(pattern, str(real))
    root = workspace.real(workspace.root)
    return real.is_relative_to(root) and globs.matches(pattern, str(real.relative_to(root)))
