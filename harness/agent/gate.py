"""The gate in front of the tools: mode, rules and, where the mode asks, the person.

Invariant: what the person allows for the session is a rule like any other, kept here and forgotten with the program; a
call that nobody can allow is refused with the flag that would.
"""

from __future__ import annotations

from harness.agent.tool_runner import NOBODY, Asker
from harness.config_values import Mode
from harness.conversation.events import AskPermission, Permission
from harness.workspace.paths import Workspace
from harness.workspace.permissions import Allowed, Asks, Refused, Rule, Subject, decide


class Gate:
    """Decides on calls. `ask`: None where nobody is there."""

    def __init__(
        self, mode: Mode, rules: tuple[Rule, ...], workspace: Workspace, ask: AskPermission | None = None
    ) -> None:
        self._mode = mode
        self._rules = list(rules)
        self._workspace = workspace
        self._ask = ask

    async def permit(self, tool: str, subject: Subject, asker: Asker = NOBODY) -> str:
        """See `Permit`."""
        match decide(self._mode, self._rules, subject, self._workspace):
            case Allowed():
                return ""
            case Refused() as refused:
                return refused.text
            case Asks(_, _, nobody) if self._ask is None:
                return nobody.text
            case Asks(what, grant):
                permission = Permission(tool, what, grant.text if grant else "", asker.skill)
                return await self._asked(self._ask, permission, grant)

    async def _asked(self, ask: AskPermission, permission: Permission, grant: Rule | None) -> str:
        match await ask(permission):
            case "once":
                return ""
            case "session" if grant is not None:
                self._rules.append(grant)
                return ""
            case _:
                return "refused: the person said no to this call; ask them how to go on, or find another way"
