"""What is hidden of a text that quotes a request, and what is not."""

from __future__ import annotations

import pytest

from harness.providers.masking import masks

HEADERS = {
    "X-Gateway": "Bearer gateway-secret-1",
    "Cookie": "sid=cookie-secret-2; theme=dark",
    "HTTP-Referer": "https://github.com/team/project",
    "X-Title": "Our project",
}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("key sk-test-123456 is wrong", "key [key] is wrong"),
        ("got Bearer gateway-secret-1", "got [header X-Gateway]"),
        ("got gateway-secret-1.", "got [header X-Gateway]."),
        ("got gateway-se...", "got [header X-Gateway]..."),
        ("unknown sid cookie-secret-2", "unknown sid [header Cookie]"),
        (
            "proxy says p%40ss-word-3 and p@ss-word-3",
            "proxy says [password of HTTPS_PROXY] and [password of HTTPS_PROXY]",
        ),
        ("see https://github.com/vendor/sdk, of Our project", "see https://github.com/vendor/sdk, of Our project"),
    ],
)
def test_what_is_quoted_of_a_request(said: str, shown: str) -> None:
    hidden = masks("sk-test-123456", HEADERS, {"HTTPS_PROXY": "http://me:p%40ss-word-3@proxy.example:3128"})
    assert hidden.hide(said) == shown
