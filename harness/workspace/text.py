"""Files as text: bytes to text and back, without losing one.

Invariant: `decode(raw).encode(decode(raw).text) == raw` for every raw that is not binary: BOM, line ends,
invalid bytes and encoding survive.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SNIFFED = 8192

_KINDS = (
    (b"\x7fELF", "ELF program"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"SQLite format 3\0", "SQLite database"),
    (b"\xca\xfe\xba\xbe", "Java class or Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "Mach-O program"),
    (b"\0asm", "WebAssembly"),
    (b"OggS", "Ogg media"),
    (b"ID3", "MP3 audio"),
)

_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text file. encoding: Python's name. bom: its bytes, or empty. note: what is unusual, or ""."""

    text: str
    encoding: str = "utf-8"
    bom: bytes = b""
    note: str = ""

    def encode(self, text: str) -> bytes:
        """The bytes of `text` as this file would hold it.

        Raises:
            UnicodeEncodeError: the encoding has no such character.
        """
        return self.bom + text.encode(self.encoding, "surrogateescape" if self.encoding == "utf-8" else "strict")


def decode(raw: bytes) -> Decoded:
    """Text of a file that is not binary; every input decodes.

    UTF-8 with a few invalid bytes keeps them as lone surrogates; mostly invalid bytes are read as Latin-1.
    """
    for bom, encoding in _BOMS:
        if raw.startswith(bom):
            try:
                text = raw[len(bom) :].decode(encoding)
            except UnicodeDecodeError:
                break
            return Decoded(text, encoding, bom, "with BOM" if encoding == "utf-8" else encoding.upper()[:6])
    text = raw.decode("utf-8", "surrogateescape")
    bad = sum("\udc80" <= letter <= "\udcff" for letter in text) if not text.isascii() else 0
    if not bad:
        return Decoded(text)
    good = sum(letter > "\x7f" for letter in text) - bad
    if good >= bad:
        return Decoded(text, note=f"UTF-8 with {bad} invalid bytes, shown as \\x..")
    return Decoded(raw.decode("latin-1"), "latin-1", b"", "not UTF-8; read as Latin-1")


def is_binary(head: bytes) -> bool:
    """Whether a file that begins so holds no text: a NUL byte near the start, and not UTF-16 with a BOM."""
    return b"\0" in head[:_SNIFFED] and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def image_type(head: bytes) -> str:
    """The media type of an image all vendors take, or ""."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _IMAGES if head.startswith(magic)), "")


def kind(head: bytes) -> str:
    """A guess at a binary file's type, in words."""
    return next((name for magic, name in _KINDS if head.startswith(magic)), "unknown type")


def lines_of(text: str) -> list[str]:
    r"""The lines of a text without their ends (`\n` or `\r\n` only); a final line end starts no line."""
    found = text.split("\n")
    if found[-1] == "":
        found.pop()
    return [line.removesuffix("\r") for line in found]


def size_text(count: int) -> str:
    """Bytes for people: "812 bytes", "3.5 MB", "10.0 GB"."""
    if count < 10_000:
        return f"{count:,} bytes"
    for unit, scale in (("KB", 10**3), ("MB", 10**6)):
        if count < scale * 1000:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 10**9:.1f} GB"
