"""Which key does what on the input line.

Invariant: a key that answers a question does so through `Questions.takes`, and is ordinary input otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent

from harness.ui import questions as panels
from harness.ui.questions import Questions

_TYPING = has_focus(DEFAULT_BUFFER)


def bindings(
    questions: Questions,
    submit: Callable[[Buffer], None],
    interrupt: Callable[[], None],
    leave: Callable[[], None],
    stop: Callable[[], None],
) -> KeyBindings:
    """The keys of the screen.

    Args:
        submit: takes what stands on the line. interrupt: Ctrl-C. leave: Ctrl-D. stop: Esc.
    """
    keys = KeyBindings()

    @keys.add("enter", filter=_TYPING)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\") and buffer.document.is_cursor_at_the_end:
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            submit(buffer)

    @keys.add("c-j", filter=_TYPING)
    @keys.add("escape", "enter", filter=_TYPING)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c", filter=_TYPING)
    @keys.add("<sigint>")
    def _(_event: KeyPressEvent) -> None:
        interrupt()

    # not eager: Alt+Enter begins with it too
    @keys.add("escape", filter=_TYPING)
    def _(_event: KeyPressEvent) -> None:
        stop()

    @keys.add("c-d", filter=_TYPING & Condition(questions.line_empty))
    def _(_event: KeyPressEvent) -> None:
        leave()

    for name in panels.KEYS:
        _answering(keys, questions, name)
    return keys


def _answering(keys: KeyBindings, questions: Questions, name: str) -> None:
    """Bind one key that answers. Esc at once: waiting for a second key would be felt as a hang."""

    @keys.add(name, filter=_TYPING & Condition(lambda: questions.takes(name)), eager=True)
    def _(event: KeyPressEvent) -> None:
        if name == "escape":
            event.current_buffer.reset()
        questions.press(name)
