"""What a tuning method puts into the slots of an encoder's layers.

A slot is an attribute that is None unless a method is applied; the layer that owns it asks for
nothing else, so that a plain encoder computes what it did before.
"""

from __future__ import annotations

from typing import Any

import keras


class Attachment(keras.layers.Layer):
    """A layer for a slot. It has all its weights after construction."""

    @property
    def variable_names(self) -> tuple[str, ...]:
        """The attributes that hold its variables, dotted where they are in layers of its own."""
        raise NotImplementedError(f"{type(self).__name__} must implement `variable_names`")


def put(owner: keras.layers.Layer, slot: str, layer: Any) -> None:
    """Fills an empty slot of a layer that is built already.

    Args:
      owner, slot: the layer and its attribute.
      layer: an Attachment, or one of variants.py.

    Raises:
      ValueError: the owner has no such slot, or it is taken.
    """
    if not hasattr(owner, slot):
        raise ValueError(f"{owner.name} has no slot {slot!r}")
    if getattr(owner, slot) is not None:
        raise ValueError(
            f"{owner.name} has been tuned already: its slot {slot!r} is taken. Apply one method "
            "to a model, or merge the first one"
        )
    owner._tracker.unlock()  # Keras locks what a built layer consists of
    setattr(owner, slot, layer)
    owner._tracker.lock()


def take_out(owner: keras.layers.Layer, slot: str) -> Attachment:
    """Empties a slot; returns what was in it."""
    layer = getattr(owner, slot)
    owner._tracker.unlock()
    owner._tracker.untrack(layer)
    setattr(owner, slot, None)
    owner._tracker.lock()
    return layer
