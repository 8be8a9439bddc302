"""Arrays as IBM's results carry them: base64 of zlib of NumPy's file format, read within limits and without NumPy.

Only plain little-endian numbers in C order are read. Objects are refused by their type's name: reading them would run what
they hold.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
import zlib
from typing import NamedTuple

from qobs.errors import BadPayload

MOST_BYTES = 16 * 1024 * 1024
"""Of one array or circuit after inflation."""

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 4096
_HEADER = re.compile(
    r"\{\s*'descr':\s*'([<>|=]?[a-zA-Z][0-9]{1,3})',\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\(([0-9, ]{0,200})\),?\s*\}\s*"
)
_ITEM_BYTES = {"|u1": 1, "<f8": 8}


class Array(NamedTuple):
    """``kind`` is ``|u1`` (bytes) or ``<f8`` (little-endian doubles), ``data`` its items in C order."""

    kind: str
    shape: tuple[int, ...]
    data: bytes

    def floats(self) -> tuple[float, ...]:
        """The items of an ``<f8`` array, flat."""
        return struct.unpack(f"<{len(self.data) // 8}d", self.data)


def inflated(text: object, what: str) -> bytes:
    """The bytes behind base64 of zlib, at most :data:`MOST_BYTES`.

    Raises:
        BadPayload: no text, no base64, no zlib, cut off, followed by other bytes, or over the limit.
    """
    if not isinstance(text, str):
        raise BadPayload(f"{what}: expected base64 text")
    try:
        packed = base64.b64decode("".join(text.split()), validate=True)
        stream = zlib.decompressobj()
        body = stream.decompress(packed, MOST_BYTES + 1)
    except (binascii.Error, ValueError, zlib.error):
        raise BadPayload(f"{what}: expected base64 of zlib") from None
    if len(body) > MOST_BYTES:
        raise BadPayload(f"{what}: over {MOST_BYTES} bytes after inflation")
    if not stream.eof or stream.unused_data:
        raise BadPayload(f"{what}: the compressed data is cut off or followed by more")
    return body


def read_array(text: object, what: str) -> Array:
    """The array behind base64 of zlib of an ``.npy`` file.

    Raises:
        BadPayload: as :func:`inflated`, or not the file format, another type of item, or a shape that the data does not fill.
    """
    body = inflated(text, what)
    header, data = _split(body, what)
    match = _HEADER.fullmatch(header)
    if match is None:
        raise BadPayload(f"{what}: expected the header of a NumPy array")
    kind, fortran, sizes = match.groups()
    if kind not in _ITEM_BYTES or fortran == "True":
        raise BadPayload(f"{what}: expected |u1 or <f8 in C order")
    shape = tuple([int(size[:12]) for size in sizes.replace(",", " ").split()])
    if len(shape) > 8 or math.prod(shape) * _ITEM_BYTES[kind] != len(data):
        raise BadPayload(f"{what}: the data does not fill the array's shape")
    return Array(kind, shape, data)


def _split(body: bytes, what: str) -> tuple[str, bytes]:
    """Header text and data of an ``.npy`` file of version 1, 2 or 3."""
    version = body[6:7]
    if not body.startswith(_MAGIC) or version not in (b"\x01", b"\x02", b"\x03"):
        raise BadPayload(f"{what}: expected a NumPy array file")
    begin = 10 if version == b"\x01" else 12
    length = int.from_bytes(body[8:begin], "little")
    if length > _LONGEST_HEADER or begin + length > len(body):
        raise BadPayload(f"{what}: the header of the NumPy array is cut off or too long")
    return body[begin : begin + length].decode("latin-1"), body[begin + length :]
