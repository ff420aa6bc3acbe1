"""The memory of one run: what its prompts are told of it, and what may be written to it and to skills.

Invariant: reads the files anew at each question, so that what a person wrote meanwhile counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.knowledge import memory, memory_check
from harness.knowledge.skills import SkillText, bundled_dir

_PLACEHOLDER = re.compile(r"\$\{(PERSON_MEMORY|PROJECT_MEMORY|PERSON_SKILLS|SESSION_ID)\}")


@dataclass(frozen=True, slots=True)
class RunMemory:
    """root: the project's. config_dir: the person's own files."""

    root: Path
    config_dir: Path

    def personal(self, home: Path) -> tuple[Path, ...]:
        """The person's own folders that hold what every session is told: their memory and their skills."""
        others = (home / name / "skills" for name in (".claude", ".agents"))
        return (self.config_dir / "memory", self.config_dir / "skills", *others)

    def read(self) -> tuple[memory.Memory, ...]:
        """The person's memory, then the project's."""
        return tuple(memory.read_place(place, self.root, self.config_dir) for place in memory.PLACES)

    def vet(self, path: Path, data: bytes) -> str:
        """Why `data` may not become the content of `path` (symlinks resolved); "" where it may."""
        bundled = Path(os.path.realpath(bundled_dir()))
        if path.is_relative_to(bundled) and not bundled.is_relative_to(os.path.realpath(self.root)):
            copy = self.config_dir / "skills" / path.relative_to(bundled).parts[0]
            return f"a skill that comes with the program is not edited in place; copy it to {copy} and edit it there"
        return memory_check.refusal(self.root, self.config_dir, path, data)

    def filled(self, skill: SkillText, session_id: str) -> SkillText:
        """A bundled skill with the places of this run in it; any other as it is."""
        if skill.place != "bundled":
            return skill
        values: Mapping[str, str] = {
            "PERSON_MEMORY": str(memory.folder_of("person", self.root, self.config_dir)),
            "PROJECT_MEMORY": str(memory.folder_of("project", self.root, self.config_dir)),
            "PERSON_SKILLS": str(self.config_dir / "skills"),
            "SESSION_ID": session_id,
        }
        return replace(skill, body=_PLACEHOLDER.sub(lambda match: values[match[1]], skill.body))
