"""Which of a request's headers its answer may depend on: all but those that say who asks and how that is traced.

Invariant: no secret leaves here: of a header that is not known to be public, a digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.conversation.canonical import digest

_WHO = re.compile(
    r"accept|content-type|user-agent|x-stainless-.*|openai-(organization|project)|idempotency-.*|baggage"
    r"|.*(auth|cookie|key|token|secret|password|signature|request-id|correlation|trace|session).*"
)
"""What the SDK is, who pays, and ids: another answer is no other because of them."""

_PUBLIC = re.compile(r".*-(beta|version)")


def deciding(headers: Mapping[str, object]) -> Mapping[str, str]:
    """Those that may decide the answer, as "header NAME": the value of a version or of betas, of others a digest.

    A gateway may choose by any header who answers; asking once too often costs less than a wrong answer.
    """
    named: dict[str, str] = {}
    for name, value in headers.items():
        if isinstance(value, str) and value:
            # of a name in two spellings both are sent
            named[name.lower()] = ",".join(filter(None, (named.get(name.lower()), value)))
    return {
        f"header {name}": value if _PUBLIC.fullmatch(name) else digest(value.encode("utf-8", "replace"))[:12]
        for name, value in named.items()
        if not _WHO.fullmatch(name)
    }
