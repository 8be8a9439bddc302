"""A response body, read whole but bounded: bytes are counted while they are inflated, so a bomb is cut at the cap."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from qobs.errors import BadPayload

_STEP = 256 * 1024
"""Bytes inflated at a time between two looks at the cap."""


class BodyCut(Exception):
    """The compressed stream ends before its end mark: the body did not arrive whole."""


class _Plain:
    """Body that is not compressed."""

    def feed(self, chunk: bytes, room: int) -> tuple[bytes, bytes]:
        return chunk[: room + 1], chunk[room + 1 :]

    def finished(self) -> bool:
        return True


class _Inflater:
    """gzip (also several members in a row) or deflate (with or without zlib's frame)."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: zlib._Decompress | None = None

    def feed(self, chunk: bytes, room: int) -> tuple[bytes, bytes]:
        """Inflated bytes (at most room + 1), and the input that is left over for the next call."""
        if self._stream is None or (self._stream.eof and chunk):
            if self._coding == "gzip" and self._stream is not None and not chunk.strip(b"\x00"):
                return b"", b""  # padding after the last member
            self._stream = zlib.decompressobj(self._window(chunk))
        out = self._stream.decompress(chunk, min(_STEP, room + 1))
        return out, self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def _window(self, chunk: bytes) -> int:
        if self._coding == "gzip":
            return 16 + zlib.MAX_WBITS
        framed = len(chunk) >= 1 and chunk[0] & 0x0F == 8 and (len(chunk) < 2 or (chunk[0] * 256 + chunk[1]) % 31 == 0)
        return zlib.MAX_WBITS if framed else -zlib.MAX_WBITS

    def finished(self) -> bool:
        return self._stream is not None and self._stream.eof


def _reader(coding: str) -> _Plain | _Inflater:
    name = coding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return _Inflater("gzip")
    if name == "deflate":
        return _Inflater("deflate")
    raise BadPayload(f"content coding {name[:20]!r} was not asked for")


async def read_body(chunks: AsyncIterator[bytes], *, coding: str, limit: int) -> bytes:
    """The whole body of at most ``limit`` bytes after decompression; ``coding`` is the Content-Encoding, or empty.

    Raises:
        BadPayload: longer than ``limit``, broken compressed data, or a coding that was not asked for.
        BodyCut: the compressed data ends too early.
    """
    reader = _reader(coding)
    parts: list[bytes] = []
    size = 0
    since_pause = 0
    async for chunk in chunks:
        rest = chunk
        while rest:
            out, rest = _feed(reader, rest, limit - size)
            parts.append(out)
            size += len(out)
            since_pause += len(out)
            if size > limit:
                raise BadPayload(f"body over {limit} bytes after decompression")
            if since_pause > 4 * _STEP:
                since_pause = 0
                await asyncio.sleep(0)  # other sources' turn: inflating a large body takes long
    if size and not reader.finished():
        raise BodyCut
    if not size and parts and not reader.finished():
        raise BodyCut
    return b"".join(parts)


def _feed(reader: _Plain | _Inflater, chunk: bytes, room: int) -> tuple[bytes, bytes]:
    try:
        return reader.feed(chunk, room)
    except zlib.error:
        raise BadPayload("broken compressed data") from None
