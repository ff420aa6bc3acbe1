"""What the session block is made of: the files of the person and of the project, in their order.

Invariant: what changes more often stands further down, so that an engine that caches from the front reads more.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.knowledge import memory, project, skills
from harness.prompt.layers import Layer


def own_files(config_dir: Path) -> dict[str, str]:
    """What the person wrote of themselves, by title; a file that is not there is left out."""
    found = {
        "About the person (USER.md)": project.user_file(config_dir),
        "Tone (SOUL.md)": project.soul_file(config_dir),
    }
    return {title: file.text for title, file in found.items() if file is not None}


def session_layers(
    root: Path, cwd: Path, config_dir: Path, index: skills.SkillIndex, memories: Iterable[memory.Memory]
) -> list[Layer]:
    """The layers, each bounded by what reads it; empty ones are left out later."""
    return [
        *(Layer(title, text) for title, text in own_files(config_dir).items()),
        *(Layer(f"Project rules ({rule.path})", rule.text) for rule in project.rule_files(root, cwd)),
        Layer("Skills (use with invoke_skill)", skills.listing(index)),
        *(Layer(memory.TITLES[found.place], found.index()) for found in memories),
    ]
