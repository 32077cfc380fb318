"""Halves of surrogate pairs in texts."""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which JSON can spell and UTF-8 not.

    The tokenizer leaves U+FFFD out, and it keeps the offsets right.
    """
    return _SURROGATE.sub("\ufffd", text)
