"""What was typed while the program started, before there was an input line.

Invariant: nothing is lost, and nothing is sent that a person did not end with Enter. Until the line is there, the
terminal makes a line feed of Enter, as it does of each line break of a paste: one at the very end is taken for Enter,
and text of several lines stays on the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output

_ENTER = KeyPress(Keys.ControlM, "\r")


def take(source: Input, screen: Output) -> None:
    """Have the next prompt on this input begin with what was typed so far; its echo leaves the row of the cursor.

    Args:
        source: in raw mode: in cooked mode a line without its end could not be read.
    """
    keys: list[KeyPress] = []
    while more := source.read_keys():
        keys += more
    if keys:
        screen.write_raw("\r")
        screen.erase_end_of_line()
        screen.flush()
    store_typeahead(source, entered(keys))


def entered(keys: Sequence[KeyPress]) -> list[KeyPress]:
    """The keys, the line feeds at their end made the Enter that they were."""
    ends = len(list(takewhile(lambda key: key.key == Keys.ControlJ, reversed(keys))))
    words = list(keys[: len(keys) - ends])
    if not ends or any(key.key == Keys.ControlJ for key in words):
        return list(keys)
    return [*words, _ENTER]
