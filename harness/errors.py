"""Every exception of the program, one tree; each says one line that tells the person what to do.

Invariant: whatever leaves the program as a failure is a `HarnessError`, and its class alone decides the exit code.

    HarnessError                    1   failed, and sending it again will not help
    ├── UsageError                  2   what was typed is wrong
    │   ├── ConfigError             2   a setting is wrong; names the file and the line
    │   ├── MissingKey              2   no API key
    │   ├── NoSuchSession           2   nothing to continue or resume
    │   └── SkillError              2   a skill is missing or malformed
    ├── LimitReached                3   --max-turns, --max-cost
    ├── JournalError                1   the session cannot be written or read
    │   ├── JournalBusy             1   another process owns the session
    │   │   └── OwnedElsewhere      1   a process on another machine may own it
    │   └── StorageFull             1   no room, or no right to write; nothing half-written stays
    ├── ProviderError               1   the vendor said no
    │   ├── BadRequest              1   400, 422 and every other refusal of our bytes
    │   │   └── ContextOverflow     1   the conversation no longer fits the window
    │   ├── AuthFailed              1   401
    │   ├── Forbidden               1   403
    │   ├── QuotaExhausted          1   402, and the 429 that no waiting cures
    │   ├── UnknownModel            2   404: the vendor does not know the model
    │   ├── NotAnApi                1   an HTML page, a redirect, a body that is no API answer
    │   ├── TlsFailed               1   certificate not trusted
    │   └── Temporary              75   worth another try later
    │       ├── RateLimited        75   429
    │       ├── Overloaded         75   500, 502, 503, 504, 529
    │       ├── Unreachable        75   DNS, refused, reset, proxy
    │       └── StreamBroken       75   the answer stopped before its end, or stalled
    ├── SnapshotFailed              1   the workspace's files could not be saved or put back
    ├── WebFailed                   1   a page or a search could not be had
    ├── CompactionFailed            1   no summary could be had; nothing was changed
    ├── DocumentError               1   a document could not be turned into text
    ├── PrefixMoved                 1   a request would not extend its line (--strict-prefix)
    └── SchemaNotMet                1   --json-schema: still invalid after its repairs
"""

from __future__ import annotations

import errno
from pathlib import Path

OUTPUT = "the output"
"""What an OSError of standard output has for a file name."""


class HarnessError(Exception):
    """Base of all. `str(error)` is one actionable line."""

    exit_code = 1


class UsageError(HarnessError):
    """What was typed is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is wrong; the message names file and line."""


class MissingKey(UsageError):
    """No API key was found for the vendor."""


class NoSuchSession(UsageError):
    """There is nothing to continue or resume."""


class SkillError(UsageError):
    """A skill is missing or malformed."""


class LimitReached(HarnessError):
    """A limit the person set was reached."""

    exit_code = 3


class JournalError(HarnessError):
    """The session cannot be written or read."""


class JournalBusy(JournalError):
    """Another process owns the session; the message names its pid. `session`: its id."""

    def __init__(self, message: str, session: str = "") -> None:
        super().__init__(message)
        self.session = session


class OwnedElsewhere(JournalBusy):
    """A process on another machine left the session open and may still write to it; only a person can tell."""


class StorageFull(JournalError):
    """No room, or no right to write. No half record stays."""


def storage_error(error: OSError, path: Path, variable: str = "XDG_STATE_HOME") -> StorageFull:
    """What the person is told when a folder of ours cannot be written. variable: what names another one."""
    return StorageFull(f"cannot write {path}: {error.strerror}; {remedy(error, variable)}")


def remedy(error: OSError, variable: str) -> str:
    """What to do about a folder that cannot be written. variable: the one that names another folder."""
    elsewhere = f"set {variable} to a folder that can be written"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"free space or {elsewhere}"
        case errno.EACCES | errno.EPERM:
            return f"give yourself write permission there, or {elsewhere}"
        case _:
            return elsewhere


class ProviderError(HarnessError):
    """The vendor refused or failed.

    `status` is the HTTP status or None; `request_id` the vendor's; `retry_after` in seconds where the vendor gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after


class BadRequest(ProviderError):
    """The vendor refused our bytes."""


class ContextOverflow(BadRequest):
    """The conversation no longer fits the model's window."""


class AuthFailed(ProviderError):
    """401."""


class Forbidden(ProviderError):
    """403."""


class QuotaExhausted(ProviderError):
    """402, and the 429 that no waiting cures."""


class UnknownModel(ProviderError):
    """404: the vendor does not know the model, or this key may not see it."""

    exit_code = 2


class NotAnApi(ProviderError):
    """What answered is not the API."""


class TlsFailed(ProviderError):
    """The certificate is not trusted."""


class Temporary(ProviderError):
    """Worth another try later."""

    exit_code = 75


class RateLimited(Temporary):
    """429."""


class Overloaded(Temporary):
    """500, 502, 503, 504, 529, 408, 409."""


class Unreachable(Temporary):
    """DNS, refused, reset, proxy."""


class StreamBroken(Temporary):
    """The answer stopped before its end, or stalled."""


class SnapshotFailed(HarnessError):
    """The workspace's files could not be saved or put back; what was there is still there."""


class WebFailed(HarnessError):
    """A page or a search could not be had. `temporary`: asking again later may help."""

    def __init__(self, text: str, *, temporary: bool = False) -> None:
        super().__init__(text)
        self.temporary = temporary


class CompactionFailed(HarnessError):
    """No summary could be had; nothing was changed."""


class DocumentError(HarnessError):
    """A document could not be turned into text; says what to do, and which script to look at."""


class PrefixMoved(HarnessError):
    """A request would not extend its line."""


class SchemaNotMet(HarnessError):
    """The answer does not meet --json-schema after its repairs."""


class ReplayFailed(HarnessError):
    """A recorded session cannot be replayed at all."""
