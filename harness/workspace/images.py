"""The size of an image in pixels, from its header.

Invariant: gives a size only for data that starts and, where the format says how, ends as an image must: a
broken image in a conversation would be refused by the vendor with every later request.
"""

from __future__ import annotations

import struct


def size(raw: bytes) -> tuple[int, int] | None:
    """Width and height of a whole PNG, JPEG, GIF or WebP; None when it is none or is cut short."""
    try:
        if raw.startswith(b"\x89PNG\r\n\x1a\n"):
            return _pair(">II", raw, 16) if b"IEND" in raw[-32:] else None
        if raw.startswith(b"GIF8"):
            return _pair("<HH", raw, 6) if b"\x3b" in raw[-32:] else None
        if raw.startswith(b"\xff\xd8"):
            return _jpeg(raw) if b"\xff\xd9" in raw[-4096:] else None
        if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
            return _webp(raw) if len(raw) >= struct.unpack_from("<I", raw, 4)[0] + 8 else None
    except (struct.error, IndexError):
        return None
    return None


def _pair(form: str, raw: bytes, place: int) -> tuple[int, int]:
    width, height = struct.unpack_from(form, raw, place)
    return int(width), int(height)


def _jpeg(raw: bytes) -> tuple[int, int] | None:
    place = 2
    while raw[place] == 0xFF:
        marker = raw[place + 1]
        if marker == 0xFF:
            place += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = _pair(">HH", raw, place + 5)
            return width, height
        elif marker in (0x01, *range(0xD0, 0xD8)):
            place += 2
        else:
            place += 2 + int(struct.unpack_from(">H", raw, place + 2)[0])
    return None


def _webp(raw: bytes) -> tuple[int, int] | None:
    match raw[12:16]:
        case b"VP8 ":
            width, height = _pair("<HH", raw, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int(struct.unpack_from("<I", raw, 21)[0])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return (int.from_bytes(raw[24:27], "little") + 1, int.from_bytes(raw[27:30], "little") + 1)
        case _:
            return None
