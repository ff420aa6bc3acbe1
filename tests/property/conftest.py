"""Where the property tests put their many sessions."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.property.world import small_trust_store


@pytest.fixture
def fast_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory where there is one: these tests write more journals than a disk likes to sync.

    It holds the trust store of their clients, which are made by the thousand.
    """
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="any-order-", dir=place))
    monkeypatch.setenv("SSL_CERT_FILE", str(small_trust_store(folder)))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
