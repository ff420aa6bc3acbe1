"""Finds the project's root, its rules and the person's notes, for the session block.

Invariant: the result depends only on the files; it is ordered from the root down, bounded, and names files as
seen from the root: no user name, no path of this machine.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from harness.knowledge.files import Content, Refusal, excerpt, read

RULE_NAMES = ("AGENTS.md", "CLAUDE.md")
MAX_RULE_BYTES = 8 * 1024
MAX_RULES_BYTES = 24 * 1024
MAX_USER_BYTES = 4 * 1024
MAX_SOUL_BYTES = 2 * 1024


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file of rules.

    path: from the root, with `/`. text: escaped and capped, ending in a note where something was cut or
    refused. sha256: of `text`, so that it changes exactly when what the model was shown is out of date. size:
    of the whole file.
    """

    path: str
    text: str
    sha256: str
    size: int


def find_root(cwd: Path) -> Path:
    """The top of the git checkout that holds `cwd`, or `cwd`; symlinks resolved.

    A `.git` that belongs to somebody else (in /tmp, say) does not make its folder, and the rules in it, ours.
    """
    here = cwd.resolve()
    try:
        owners = {here.stat().st_uid, 0}
    except OSError:
        return here
    for folder in (here, *here.parents):
        try:
            if (folder / ".git").lstat().st_uid in owners:
                return folder
        except OSError:
            continue
    return here


def rule_files(root: Path, cwd: Path) -> tuple[RuleFile, ...]:
    """AGENTS.md, or CLAUDE.md where there is none, of each folder from `root` down to `cwd`.

    All together are at most MAX_RULES_BYTES: nearer the root comes first, what no longer fits is only named,
    and files whose very names do not fit are left out.
    """
    root, cwd = root.resolve(), cwd.resolve()
    between = [folder for folder in (cwd, *cwd.parents) if folder.is_relative_to(root)] or [root]
    found: list[RuleFile] = []
    room = MAX_RULES_BYTES
    for folder in reversed(between):
        for name in RULE_NAMES:
            path = folder / name
            content = read(path, MAX_RULE_BYTES + 1, within=root)
            if content is None:
                continue
            # The note is for the read tool, which starts from the working folder.
            rule = _rule(
                path.relative_to(root).as_posix(),
                os.path.relpath(path, cwd),
                content,
                min(room, MAX_RULE_BYTES),
            )
            size = len(rule.text.encode())
            if rule.text and size <= room:
                found.append(rule)
                room -= size
            break
    return tuple(found)


def user_file(config_dir: Path) -> RuleFile | None:
    """USER.md of the person; None where there is none or it is empty."""
    return _own(config_dir, "USER.md", MAX_USER_BYTES)


def soul_file(config_dir: Path) -> RuleFile | None:
    """SOUL.md beside it: the tone in which the person wants to be spoken to; None where there is none."""
    return _own(config_dir, "SOUL.md", MAX_SOUL_BYTES)


def _own(config_dir: Path, name: str, limit: int) -> RuleFile | None:
    content = read(config_dir / name, limit + 1)
    if content is None:
        return None
    rule = _rule(name, f"{name} of the configuration folder", content, limit)
    return rule if rule.text else None


def _rule(name: str, to_read: str, content: Content | Refusal, limit: int) -> RuleFile:
    match content:
        case Refusal(reason):
            text, size = f"[not read: {reason}]", 0
        case Content(_, size):
            # A path may contain braces.
            place = to_read.replace("{", "{{").replace("}", "}}")
            text = excerpt(content, limit, f"[cut: {{}} more bytes; read {place}]")
    return RuleFile(name, text, hashlib.sha256(text.encode()).hexdigest(), size)
