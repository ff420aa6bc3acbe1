"""The terminal as it is drawn on, whether or not it says where its cursor is.

Invariant: nothing is placed by a guess at a row that the terminal did not tell.
"""

from __future__ import annotations

import sys

from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.utils import get_bell_environment_variable, get_term_environment_variable


class Screen(Vt100_Output):
    """A terminal. mute: it does not answer where its cursor is; then what belongs below the line stands right there."""

    mute = False

    @classmethod
    def of_stdout(cls) -> Screen:
        """As prompt_toolkit makes its own."""
        made = cls.from_pty(
            sys.stdout,
            term=get_term_environment_variable(),
            default_color_depth=ColorDepth.from_env(),
            enable_bell=get_bell_environment_variable(),
        )
        assert isinstance(made, cls)  # noqa: S101 - for the type checker
        return made

    def get_rows_below_cursor_position(self) -> int:
        """One, of a mute terminal; any other has to be asked, which this error leads to."""
        if not self.mute:
            raise NotImplementedError
        return 1
