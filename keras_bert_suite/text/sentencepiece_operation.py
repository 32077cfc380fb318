"""Running a SentencePiece model inside the graph."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tensorflow_text as tf_text

_TEXTS = tf.TensorSpec([None], tf.string)


class SentencePieceOperation:
    """The pieces of texts by a serialized model.

    The model is a constant of the graph, and every graph makes its own resource of it.
    tensorflow-text's tokenizer, made outside of a graph, keeps its model in the cache of eager
    operations, which `tf.random.set_seed` empties: whatever was made before would then fail.

    Args:
      model: the serialized model.
      source: what the message calls it.

    Raises:
      ValueError: SentencePiece does not take the model.
    """

    def __init__(self, model: bytes, *, source: str):
        self._model = model
        self._ids = self._compiled("tokenize")
        self._ids_and_bytes = self._compiled("tokenize_with_offsets")
        try:
            self._ids(tf.constant([""]))
        except tf.errors.OpError as error:
            raise ValueError(
                f"{source} is damaged, SentencePiece does not take it: {error.message}"
            ) from None

    def ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Ids of the pieces: int32 [batch, (pieces)].

        Args:
          texts: string [batch], UTF-8 without NUL.
        """
        return self._ids(texts)

    def ids_and_bytes(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """(ids, starts, ends): int32 [batch, (pieces)], bytes [start, end) of each text.

        Args:
          texts: string [batch], UTF-8 without NUL.
        """
        ids, *places = self._ids_and_bytes(texts)
        starts, ends = (x.with_flat_values(tf.cast(x.flat_values, tf.int32)) for x in places)
        return ids, starts, ends

    def _compiled(self, method: str) -> Callable:
        def run(texts: tf.Tensor):
            # The operation exists on the CPU alone.
            with tf.device("CPU"):
                return getattr(tf_text.SentencepieceTokenizer(self._model), method)(texts)

        return tf.function(run, input_signature=[_TEXTS], autograph=False)
