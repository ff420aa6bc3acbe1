"""The conversation of a session as each profile is sent it: tools and system blocks, and every message, rendered once.

Invariant: what was rendered is journaled before it is known, and is found again instead of rendered again; so a request
after a resume has the bytes of the one before it. Only an epoch that replaces messages or prefix drops a projection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.agent.renderings import Renderings
from harness.conversation.canonical import Json
from harness.conversation.history import Entry
from harness.conversation.journal import Journal
from harness.conversation.lines import Record
from harness.conversation.request import FrozenPrefix
from harness.prompt.prefix import read_prefix, write_prefix
from harness.prompt.projection import Projection, batches
from harness.providers.base import Provider


class Projections:
    """Those of one session, by profile.

    Args:
        record: writes a record to the journal and has it applied.
    """

    def __init__(self, journal: Journal, record: Callable[[str, Mapping[str, Json]], Record]) -> None:
        self.renderings = Renderings(journal)
        self.prefix: FrozenPrefix | None = None
        """Tools and system blocks as they are sent in this epoch; None before the journal has any."""
        self._blobs = journal.blobs
        self._record = record
        self._prefixes: dict[int, Mapping[str, Json]] = {}
        self._wire_prefixes: dict[str, FrozenPrefix] = {}
        self._projections: dict[str, Projection] = {}

    def apply(self, record: Record) -> None:
        """Take one record in."""
        data = record.data
        match record.kind:
            case "prefix" | "refrozen":
                self._prefixes[record.seq] = data
                self.prefix = read_prefix(data, self._blobs) if record.kind == "prefix" else self.prefix
            case "wire_prefix":
                self._wire_prefixes[data["profile"]] = read_prefix(data, self._blobs)
            case "epoch" if "prefix" in data or "messages" in data:
                if "prefix" in data:
                    self.prefix = read_prefix(self._prefixes[data["prefix"]], self._blobs)
                    self._wire_prefixes.clear()
                self._projections.clear()
            case "rendering":
                self.renderings.apply(record)
            case _:
                pass

    def inherit(self, caller: Projections) -> None:
        """Send tools and system blocks as another session does."""
        for profile, prefix in caller._wire_prefixes.items():
            if prefix != self.prefix:
                self._keep_prefix(profile, prefix)

    def project(self, profile: str, provider: Provider, prefix: FrozenPrefix, entries: Sequence[Entry]) -> Projection:
        """The conversation for a profile; what of it is new is rendered and journaled."""
        projection = self._projections.get(profile)
        if projection is None:
            projection = Projection(self._prefix_for(profile, provider, prefix), provider.envelope)
            self._projections[profile] = projection
        for batch in batches(entries[len(projection.messages) :]):
            self._add(projection, profile, provider, batch)
        return projection

    def _add(self, projection: Projection, profile: str, provider: Provider, batch: Sequence[Entry]) -> None:
        """Add a batch: what of it was rendered before as it was, then the rest, rendered and journaled together."""
        while batch:
            seqs = [entry.seq for entry in batch]
            group = self.renderings.find(profile, seqs)
            if group is None:
                rendered = tuple(provider.render([entry.message for entry in batch], projection.after))
                # in one record: what was merged must not be found in part after a crash
                self._record("rendering", self.renderings.write(profile, seqs, rendered))
            else:
                rendered = group[1]
            for entry, fragments in zip(batch, rendered, strict=False):
                projection.add(entry.seq, entry.message, fragments)
            batch = batch[len(rendered) :]

    def _prefix_for(self, profile: str, provider: Provider, prefix: FrozenPrefix) -> FrozenPrefix:
        """The frozen prefix as this profile is sent it: made once, like a rendering, and journaled."""
        if (known := self._wire_prefixes.get(profile)) is not None:
            return known
        sent = provider.prefix(prefix)
        if sent != prefix:
            self._keep_prefix(profile, sent)
        self._wire_prefixes[profile] = sent
        return sent

    def _keep_prefix(self, profile: str, prefix: FrozenPrefix) -> None:
        self._record("wire_prefix", {"profile": profile, **write_prefix(prefix, self._blobs)})
