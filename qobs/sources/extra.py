"""``Job.extra`` of typed members, with a memory: rows of a page repeat formats, programs and settings."""

from __future__ import annotations

import msgspec

from qobs.sources.decode import EXTRA_BYTES, extra_json
from qobs.sources.redact import is_plain


class Extras:
    """The texts of one page's extras. Made anew for each page, so that it never outgrows it."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._texts: dict[bytes, str | None] = {}

    def text(self, members: msgspec.Struct) -> str | None:
        """What :func:`qobs.sources.decode.extra_json` says of the struct's members; those at their default are left out.

        The struct omits defaults; they are None.
        """
        encoded = msgspec.json.encode(members, order="sorted")
        if encoded not in self._texts:
            self._texts[encoded] = self._read(encoded)
        return self._texts[encoded]

    def _read(self, encoded: bytes) -> str | None:
        text = encoded.decode()
        if text == "{}":
            return None
        return text if len(encoded) <= EXTRA_BYTES and is_plain(text) else extra_json(msgspec.json.decode(encoded))
