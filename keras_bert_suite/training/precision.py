"""The number formats of a training run."""

from __future__ import annotations

_POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}
PRECISIONS = tuple(_POLICIES)


def policy_name(precision: str) -> str:
    """Gives the name of the Keras dtype policy: computing in `precision`, weights in float32.

    bfloat16 keeps float32's range and needs no loss scaling; float16 needs it
    (`training/optimizers.py` adds it).

    Raises:
      ValueError: an unknown precision.
    """
    if precision not in _POLICIES:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}. Received: {precision!r}."
        )
    return _POLICIES[precision]
