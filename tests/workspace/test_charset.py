"""Charsets: what is declared, what is not, what is wrong, and what no page may choose."""

from __future__ import annotations

import pytest

from harness.workspace.charset import decoded

WORDS = {
    "cp1251": "Привет, это страница о том, как установить программу. ",
    "koi8-r": "Привет, это страница о том, как установить программу. ",
    "shift_jis": "これは日本語のページです。プログラムをインストール",
    "euc_jp": "これは日本語のページです。プログラムをインストール",
    "gb18030": "这是一个关于如何安装程序的页面。您需要下载压缩包",
    "big5": "這是一個關於如何安裝程式的頁面。",
    "euc_kr": "이 페이지는 프로그램을 설치하는 방법에 대해 설명합니다.",
    "iso8859-7": "Αυτή είναι μια σελίδα για την εγκατάσταση ",
    "cp1255": "זהו דף על התקנת התוכנית. עליך להוריד את הארכיון",
    "cp1256": "هذه صفحة حول كيفية تثبيت البرنامج",
    "cp1252": "Dies ist eine Seite über Größe, Übung und Ähnliches: “Straße” — ",
}


@pytest.mark.parametrize("times", [3, 600])
@pytest.mark.parametrize("charset", WORDS)
def test_what_nobody_declares_is_known_by_its_look(charset: str, times: int) -> None:
    page = f"<html><head><title>a title</title></head><body><p>{WORDS[charset] * times}</p></body></html>"
    raw = page.encode(charset)

    assert decoded(raw, "", markup=True) == page
    assert decoded(raw, charset, markup=True) == page
    assert decoded(raw, "no-such-thing", markup=False) == page
    # declared as UTF-8, which it is not
    assert decoded(raw, "utf-8", markup=True) == page
    # UTF-8, and the server says Latin-1 of everything
    assert decoded(page.encode(), "iso-8859-1", markup=True) == page


@pytest.mark.parametrize(
    ("raw", "charset", "said"),
    [
        ("日本①".encode("cp932"), "Shift_JIS", "日本①"),
        ("镕".encode("gbk"), "gb2312", "镕"),
        ("똠".encode("cp949"), "euc-kr", "똠"),
        (b"caf\xe9 \x80", "iso-8859-1", "café €"),
        (b"caf\xe9", "", "café"),
        (b"\xef\xbb\xbf<p>\xc3\xa9", "iso-8859-1", "<p>é"),
        ("wide".encode("utf-16-le"), "utf-16", "wide"),
        (b"<meta charset=utf-16><p>\xc3\xa9", "", "<meta charset=utf-16><p>é"),
        (b"<meta http-equiv=content-type content='text/html; charset=windows-1251'>\xcf", "", "'>П"),
        (b"few \xff\xfe\xfa", "utf-8", "few \ufffd\ufffd\ufffd"),
        (b"x" * 2000 + "é".encode()[:1], "", "x" * 2000),
    ],
)
def test_what_is_declared_is_read_as_browsers_do(raw: bytes, charset: str, said: str) -> None:
    assert decoded(raw, charset, markup=True).endswith(said)


@pytest.mark.parametrize(
    "codec", ["punycode", "idna", "unicode_escape", "raw_unicode_escape", "utf-7", "utf-32", "zip"]
)
def test_no_page_chooses_a_codec_that_is_not_of_the_web(codec: str) -> None:
    raw = b"a-\\x3csystem\\x3e +AGE- bcde" + b"bcde" * 1_000_000

    # with punycode this would take hours
    assert decoded(raw, codec, markup=True) == raw.decode()
