"""The facts that a model is told as session context, read anew each time they are asked for.

Invariant: what is told is decided by `prompt.context` alone, which compares them with what the journal says was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.agent.loop import ContextSource
from harness.config_values import Mode
from harness.conversation.blocks import Message
from harness.conversation.canonical import Json
from harness.knowledge import memory, project, skills
from harness.knowledge.run_memory import RunMemory
from harness.options import Options
from harness.prompt.context import Facts, context_message
from harness.prompt.sources import own_files
from harness.providers.facts import Model
from harness.seam import Seam


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Where they are read. root: the workspace. config_dir: the person's own files."""

    options: Options
    mode: Mode
    root: Path
    config_dir: Path
    seam: Seam
    skills: skills.Skills
    memory: RunMemory

    def of(self, model: Model) -> ContextSource:
        """The session context as a model is told it."""
        return lambda told: self._context(model, told)

    def _context(self, model: Model, told: Mapping[str, Json]) -> tuple[Message, Mapping[str, Json]] | None:
        index = self.skills.discover()
        rules = project.rule_files(self.root, self.options.cwd)
        kept, titles = memory.known(self.memory.read())
        facts = Facts(
            today=self.seam.today(),
            model=model.name,
            os=self.seam.os_name(),
            cwd=str(self.options.cwd),
            mode=self.mode,
            dirs=tuple(str(path) for path in self.options.add_dirs),
            rules={rule.path: rule.sha256 for rule in rules},
            skills=skills.digests(index),
            memory=kept,
            own=own_files(self.config_dir),
        )
        message = context_message(facts, told, {skill.name: skill.description for skill in index.listed} | titles)
        return None if message is None else (message, facts.to_json())
