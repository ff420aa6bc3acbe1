"""From the flags of a run to its options: the same for a session in the terminal and for one task.

Invariant: every flag that decides how a session runs is taken over here, and nowhere else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.app import Options
from harness.errors import UsageError
from harness.seam import Seam


def options(flags: argparse.Namespace, seam: Seam) -> Options:
    """What a run was asked for; paths are absolute.

    Raises:
        UsageError: the working folder does not exist any more.
    """
    try:
        cwd = (Path(flags.cwd) if flags.cwd else seam.cwd()).resolve()
    except OSError as error:
        raise UsageError("the working folder is gone; name one with --cwd") from error
    return Options(
        cwd=cwd,
        add_dirs=tuple(Path(path).resolve() for path in flags.add_dir),
        resume=flags.resume,
        continue_last=flags.continue_last,
        fork=flags.fork,
        no_session=flags.no_session,
        model=flags.model,
        fallback_model=flags.fallback_model,
        effort=flags.effort,
        permission_mode=flags.permission_mode,
        allow=tuple(flags.allow),
        max_turns=flags.max_turns,
        max_cost=flags.max_cost,
        strict_prefix=flags.strict_prefix,
        min_cache_hit=flags.min_cache_hit,
        response_cache=flags.response_cache,
        fresh=flags.fresh,
    )
