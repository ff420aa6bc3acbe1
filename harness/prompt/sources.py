"""What the session block is made of: the files of the person and of the project, in their order.

Invariant: what changes more often stands further down, so that an engine that caches from the front reads more.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.knowledge import memory, project, skills
from harness.prompt.layers import Layer


def session_layers(
    root: Path, cwd: Path, config_dir: Path, index: skills.SkillIndex, memories: Iterable[memory.Memory]
) -> list[Layer]:
    """The layers, each bounded by what reads it; empty ones are left out later."""
    user, soul = project.user_file(config_dir), project.soul_file(config_dir)
    return [
        Layer("About the person (USER.md)", user.text if user else ""),
        Layer("Tone (SOUL.md)", soul.text if soul else ""),
        *(Layer(f"Project rules ({rule.path})", rule.text) for rule in project.rule_files(root, cwd)),
        Layer("Skills (use with invoke_skill)", skills.listing(index)),
        *(Layer(memory.TITLES[found.place], found.index()) for found in memories),
    ]
