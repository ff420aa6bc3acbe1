"""Skills called by a model or by a person: read, confirmed where they changed, and handed to the conversation.

Invariant: both go one way. What a person calls by `/name` reaches the conversation as a fact directly before their
words, which stay as they typed them. It is no call and result made up in the model's name: with thinking on, vendors
refuse a call without the thinking that made it, and it would tell the model that it did what it did not. A fact extends
the request like any other message, its cache marker falls on the words behind it, and an undo takes both.
"""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.agent.tool_runner import SMALLEST
from harness.conversation.events import Ask, Question
from harness.errors import SkillError
from harness.knowledge import skill_pins
from harness.knowledge.skills import Skills, SkillText
from harness.tools.invoke_skill import framed
from harness.tools.output import Spill, bound

_SPOKEN = re.compile(r"/([a-z0-9][a-z0-9-]{0,63})(?:\s+(.*))?\Z", re.DOTALL | re.IGNORECASE)
_YES = "yes, and remember it as it is now"


@dataclass(frozen=True, slots=True)
class SkillCalls:
    """The skills of a session.

    room: bytes that a person's skill may add now. spill: keeps what is longer.
    """

    skills: Skills
    ask: Ask
    room: Callable[[], int]
    spill: Spill

    async def by_model(self, name: str) -> SkillText:
        """The skill that a model calls for.

        Raises:
            SkillError: it is not there, only the person may call it, or it changed and nobody confirmed that.
        """
        skill = await self._read(name)
        if not skill.manifest.model_invocable:
            raise SkillError(f"skill `{name}` is called by the person alone, as /{name}; ask them")
        return skill

    async def by_person(self, text: str) -> Sequence[str]:
        """The facts that go before a person's words: the skill that `/name …` calls; none where they call none.

        Raises:
            SkillError: the skill cannot be used, or the words look like a mistyped one.
        """
        match = _SPOKEN.match(text.rstrip())
        if match is None:
            return ()
        name, task = match[1].lower(), (match[2] or "").strip()
        index = await asyncio.to_thread(self.skills.discover)
        mine = {skill.name: skill for skill in index.skills}
        if name not in mine and not any(problem.path.parent.name == name for problem in index.problems):
            callable_now = [skill.name for skill in index.skills if skill.user_invocable]
            if near := difflib.get_close_matches(name, callable_now, n=3, cutoff=0.75):
                meant = " or ".join(f"/{one}" for one in near)
                raise SkillError(f"no skill /{name}; {meant}? (with a space before it, the text is sent as it is)")
            return ()
        skill = await self._read(name)
        if not skill.manifest.user_invocable:
            raise SkillError(f"skill `{name}` is for the model alone; say what you want done")
        if skill.manifest.runs_as.context != "inline" and skill.manifest.model_invocable:
            return (f"[The person calls the skill {name} with the next message. Call invoke_skill for it.]",)
        told, _ = bound(framed(skill, task), max(SMALLEST, self.room()), self.spill)
        return (f"[The person calls the skill {name} with the next message. Follow it.]\n{told}",)

    async def _read(self, name: str) -> SkillText:
        skill = await asyncio.to_thread(self.skills.load, name)
        return await self._confirmed(name) if skill.changed else skill

    async def _confirmed(self, name: str) -> SkillText:
        """A skill that is not as it was added, once the person has said that it may be used so."""
        folder = self.skills.config_dir
        # before it is read: what is pinned is then what the person is asked about, or older, and asked about again
        files = await asyncio.to_thread(skill_pins.current, folder, name)
        skill = await asyncio.to_thread(self.skills.load, name)
        what = ", ".join(skill.changed[:5]) + (f" and {len(skill.changed) - 5} more" if skill.changed[5:] else "")
        question = f"The skill `{name}` is not as you added it ({what}). Use it as it is now? Look first: {skill.path}"
        if await self.ask(Question(question, (_YES, "no"), title="A skill changed:", own_words=False)) != _YES:
            raise SkillError(
                f"skill `{name}` changed since it was added ({what}) and that was not confirmed; "
                f"look at it, then: harness skills accept {name}"
            )
        await asyncio.to_thread(skill_pins.accept, folder, name, files)
        skill = await asyncio.to_thread(self.skills.load, name)
        if skill.changed:
            raise SkillError(f"skill `{name}` changed while it was confirmed; call it again")
        return skill
