"""The commands that begin with a slash: one table.

Invariant: a command answers in lines and changes nothing but through the conversation; what is no command is never
sent to a model by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from harness.ui.conversation import Conversation

_COMMAND = re.compile(r"/([A-Za-z?][\w-]*)?(?:\s+(.*))?\Z", re.DOTALL)

KEYS = (
    "Enter            send; while a turn runs: say it after the next tool results",
    "Alt+Enter        a new line (also Ctrl-J, or \\ at the end of a line)",
    "Up, Down, Ctrl-R earlier input",
    "Ctrl-C           clear the line; stop the turn; twice: leave",
    "Ctrl-D           leave",
    "a leading space  sends a text that begins with a slash",
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command. `run` gives the lines to show; it may raise HarnessError.

    waits: it changes what the next request is, so with an argument it waits for the end of a turn.
    """

    usage: str
    about: str
    run: Callable[[Conversation, str], Sequence[str]]
    waits: bool = False
    leaves: bool = False


def _model(conversation: Conversation, name: str) -> Sequence[str]:
    if not name:
        return [f"{conversation.model}; another one: /model NAME"]
    return [conversation.switch_model(name)]


def _help(_: Conversation, __: str) -> Sequence[str]:
    return [*(f"{command.usage:16} {command.about}" for command in COMMANDS.values() if command.about), "", *KEYS]


COMMANDS: dict[str, Command] = {
    "model": Command("/model [NAME]", "show the model, or go on with another one", _model, waits=True),
    "cost": Command("/cost", "what the session cost", lambda conversation, _: conversation.cost_lines()),
    "cache": Command("/cache", "what was read from cache, and why not more", lambda c, _: c.cache_lines()),
    "help": Command("/help", "this list", _help),
    "quit": Command("/quit", "leave (also /exit)", lambda _, __: (), leaves=True),
    "exit": Command("/exit", "", lambda _, __: (), leaves=True),
}


def parse(text: str) -> tuple[str, str] | None:
    """Name and argument of a line that is meant as a command; None for what is said to the model.

    A path (`/etc/hosts is wrong`) and what begins with a space are no commands.
    """
    found = _COMMAND.match(text.rstrip())
    return ((found[1] or "").lower(), (found[2] or "").strip()) if found else None


def unknown(name: str) -> str:
    """One line for a command that does not exist."""
    close = get_close_matches(name, COMMANDS, cutoff=0.5)
    meant = " or ".join(f"/{one}" for one in close) if close else "see /help"
    return f"no command /{name}; {f'{meant}?' if close else meant}"


class SlashCompleter(Completer):
    """Completes the name of a command at the beginning of the line."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002 - the library's form
        """Commands that begin with what stands before the cursor."""
        yield from (
            Completion(f"/{name} " if command.waits else f"/{name}", -len(document.text_before_cursor), f"/{name}")
            for name, command in _begin_with(document.text_before_cursor)
        )


def _begin_with(text: str) -> Iterable[tuple[str, Command]]:
    if not text.startswith("/") or len(text.split()) > 1:
        return []
    return [(name, command) for name, command in COMMANDS.items() if name.startswith(text[1:].lower())]
