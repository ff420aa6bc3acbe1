"""What one run was asked for on the command line.

Invariant: every flag that decides how a session runs is taken over here, and nowhere else: the same for a session in
the terminal and for one task.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.seam import Seam


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run. None: not given.

    from_elsewhere: a person said that the session's owner on another machine is gone.
    """

    cwd: Path
    add_dirs: tuple[Path, ...] = ()
    resume: str | None = None
    continue_last: bool = False
    fork: bool = False
    from_elsewhere: bool = False
    no_session: bool = False
    model: str | None = None
    fallback_model: str | None = None
    effort: str | None = None
    permission_mode: str | None = None
    allow: tuple[str, ...] = ()
    max_turns: int | None = None
    max_cost: float | None = None
    strict_prefix: bool = False
    min_cache_hit: float | None = None
    response_cache: str | None = None
    fresh: bool = False

    @property
    def settings(self) -> Mapping[str, object]:
        """Those that stand for a setting, by its field of `Config`."""
        return {
            "model": self.model,
            "fallback_model": self.fallback_model,
            "effort": self.effort,
            "permission_mode": self.permission_mode,
            "allow": self.allow or None,
            "min_cache_hit": self.min_cache_hit,
            "caches_responses": self.response_cache,
        }

    @classmethod
    def of(cls, flags: argparse.Namespace, seam: Seam) -> Options:
        """What the flags say; paths are absolute.

        Raises:
            UsageError: the working folder does not exist any more.
        """
        try:
            cwd = (Path(flags.cwd) if flags.cwd else seam.cwd()).resolve()
        except OSError as error:
            raise UsageError("the working folder is gone; name one with --cwd") from error
        return cls(
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
