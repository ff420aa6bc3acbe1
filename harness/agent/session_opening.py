"""The session of one run: begun, continued or copied, and let go of.

Invariant: what cannot be opened leaves nothing behind, neither a folder nor a lock; a new session is begun only when
its model can be reached.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness import __version__
from harness.agent import subagent_sessions
from harness.agent.model_channels import ModelChannels
from harness.agent.session import Session
from harness.audit.shared_ledger import forget_child
from harness.config import Config
from harness.conversation.canonical import Json, digest
from harness.conversation.request import FrozenPrefix
from harness.errors import StorageFull
from harness.options import Options
from harness.providers.facts import Model
from harness.seam import Seam
from harness.sessions.store import Store
from harness.workspace.scratch import scratch


@dataclass(slots=True)
class SessionOpening:
    """What a session is opened with. freeze: tools and system blocks of a new one."""

    options: Options
    config: Config
    root: Path
    store: Store
    seam: Seam
    channels: ModelChannels
    freeze: Callable[[], FrozenPrefix]
    _temporary: ExitStack = field(default_factory=ExitStack, init=False)
    """Holds the folder of a session that is not kept."""

    def open(self) -> tuple[Session, Model]:
        """The session, and the model that it goes on with. `let_go` of it.

        Raises:
            HarnessError: it cannot be opened, or its model not be used.
        """
        if self.options.continue_last or self.options.resume is not None:
            return self._opened()
        self.channels.check(self.channels.chosen)
        return self._begun(), self.channels.chosen

    def _begun(self) -> Session:
        prefix, about, name = self.freeze(), self._about(), self.seam.new_id()
        if not self.options.no_session:
            return Session.create(self.store.folder(name), self.seam, prefix, about)
        try:
            folder = self._temporary.enter_context(scratch(Path(tempfile.gettempdir()), "harness-session-"))
        except OSError as error:
            raise StorageFull(f"cannot make a temporary folder: {error.strerror}; set TMPDIR") from error
        try:
            return Session.create(folder / name, self.seam, prefix, about)
        except BaseException:
            self._temporary.close()
            raise

    def _about(self) -> dict[str, Json]:
        """What is frozen with the session besides its prefix."""
        return {
            "version": __version__,
            "cwd": str(self.options.cwd),
            "root": str(self.root),
            "cache": {"enabled": self.config.cache_enabled, "ttl": self.config.cache_ttl},
            "effort": self.config.effort,
            # shared by the sessions of one workspace, whose opening is the same; a digest, for it is sent
            "cache_key": "harness-" + digest(str(self.root).encode("utf-8", "surrogateescape"))[:24],
        }

    def _opened(self) -> tuple[Session, Model]:
        options, seam, store, model = self.options, self.seam, self.store, self.channels.chosen
        folder = store.latest(self.root) if options.resume is None else store.to_go_on(options.resume)
        if options.fork:
            # never owned: it may be in use
            session = Session.fork_of(folder, store.folder(seam.new_id()), seam)
        else:
            session = Session.resume(folder, seam, from_elsewhere=options.from_elsewhere)
        try:
            subagent_sessions.recover(session)
            # without the flag, a session keeps the person's model, whatever stood in for it
            if session.requests.last_model and options.model is None:
                model = self.channels.catalog.find(
                    session.fallback["model"] if session.fallback else session.requests.last_model
                )
            self.channels.check(model)
        except BaseException:
            session.close()
            if options.fork:
                session.journal.remove()
                forget_child(folder, session.journal.id)
            raise
        return session, model

    def let_go(self, session: Session) -> None:
        """Close the session; one in which nothing was said, or that was not wanted, is removed."""
        if session.untouched:
            session.journal.remove()
        session.close()
        self._temporary.close()
