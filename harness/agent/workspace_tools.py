"""The tools that need a workspace and nothing else of a session: no person, no network, no skills.

Invariant: a session, a sub-agent and a replay get the same ones from here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.caches.tool_outputs import ToolOutputs
from harness.tools import edit, glob, grep, read, shell, todo, write
from harness.tools.base import Seen, Tool, Vet, any_content, nobody
from harness.tools.output import Spill
from harness.workspace.paths import Workspace
from harness.workspace.ripgrep import find_rg


def workspace_tools(
    workspace: Workspace,
    environment: Mapping[str, str],
    seen: Seen,
    spill: Spill,
    *,
    secrets: Collection[str] = (),
    shell_timeout: float = 120,
    vet: Vet = any_content,
    outputs: ToolOutputs | None = None,
) -> list[Tool]:
    """The tools.

    Args:
        environment: where programs are found, and what a command gets of it.
        seen: which contents were read or written before.
        spill: where long outputs go whole.
        secrets: variables that no command gets.
        shell_timeout: seconds, where the model gives none.
        vet: what a file may hold.
        outputs: the cache of what tools gave; a replay has none.
    """
    rg, wrote = find_rg(environment.get("PATH", "")), nobody if outputs is None else outputs.drop
    return [
        edit.make(workspace, seen, vet, wrote),
        glob.make(workspace, rg),
        grep.make(workspace, rg, outputs),
        read.make(workspace, outputs),
        shell.make(workspace, environment, spill, secrets, round(shell_timeout)),
        todo.make(),
        write.make(workspace, seen, vet, wrote),
    ]
