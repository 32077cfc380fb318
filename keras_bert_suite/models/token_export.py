"""`model.export(path)` without an input signature: rows of tokens, in any number and length."""

from __future__ import annotations

import keras
import tensorflow as tf

_KEYS = ("token_ids", "segment_ids", "padding_mask")


class TokenExport(keras.Model):
    """A model whose input is a batch of tokens, which Keras cannot tell from its weights alone."""

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **more):
        """As `keras.Model.export`, for a batch of token ids; text goes in by bin/export_model.py.

        Args:
          filepath, format, verbose, more: Keras' own.
          input_signature: None takes one dict of `token_ids`, `segment_ids` and `padding_mask`,
            int32 [batch, length]; otherwise Keras' own.
        """
        if input_signature is None:
            specs = {key: tf.TensorSpec([None, None], tf.int32, name=key) for key in _KEYS}
            input_signature = [specs]
        super().export(filepath, format, verbose, input_signature, **more)
