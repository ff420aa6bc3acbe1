"""Where kept answers are, by how far they are shared.

Invariant: `run` leaves nothing behind; `session` lives and dies with its session; only `global` leaves the person's own
folders, and only to the folder that they named.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from harness.caches.cached_provider import CachedProvider, Keeping
from harness.caches.responses import Responses
from harness.config import Config
from harness.errors import StorageFull, UsageError
from harness.providers.base import Provider
from harness.providers.connect import cache_fields
from harness.providers.facts import Model
from harness.seam import Seam

_PART = "responses"


def user_folder(state: Path) -> Path:
    """The person's own, for all their sessions."""
    return state / "caches" / _PART


def global_folder(folder: str | None) -> Path:
    """The one that is shared.

    Raises:
        UsageError: none is named.
    """
    if folder is None:
        raise UsageError('the scope "global" needs a folder: set folder under [caches] in your config.toml')
    return Path(folder) / _PART


def check_scope(config: Config) -> None:
    """Before there is a session: see that answers can be kept as the settings say.

    Raises:
        UsageError: "global" without a folder.
    """
    if config.caches_responses == "global":
        global_folder(config.caches_folder)


class KeptAnswers:
    """The kept answers of one run, around all of its providers. `close` it.

    Args:
        session: folder of the session that runs. state: the person's folder.
        fresh: ask the vendors, and keep what they say.

    Raises:
        StorageFull: no folder for a run can be made.
    """

    def __init__(self, config: Config, seam: Seam, session: Path, state: Path, *, fresh: bool) -> None:
        self._temporary: Path | None = None
        self._keeping: Keeping | None = None
        scope = config.caches_responses
        if (folder := self._folder(scope, session, state, config.caches_folder)) is not None:
            kept = Responses(folder, seam, config.caches_responses_ttl, shared=scope == "global")
            self._keeping = Keeping(kept, seam, fresh)

    def _folder(self, scope: str, session: Path, state: Path, shared: str | None) -> Path | None:
        match scope:
            case "run":
                try:
                    self._temporary = Path(tempfile.mkdtemp(prefix="harness-responses-"))
                except OSError as error:
                    raise StorageFull(f"cannot make a temporary folder: {error.strerror}; set TMPDIR") from error
                return self._temporary
            case "session":
                return session / _PART
            case "user":
                return user_folder(state)
            case "global":
                return global_folder(shared)
            case _:
                return None

    def around(self, provider: Provider, model: Model) -> Provider:
        """The provider of a model, its answers kept; as it is where the cache is off."""
        if self._keeping is None:
            return provider
        return CachedProvider(provider, self._keeping, model.id, cache_fields(model))

    def close(self) -> None:
        """What was kept for the run alone is removed."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
