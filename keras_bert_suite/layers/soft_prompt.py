"""The prompt of prompt tuning: vectors in the place of words."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.attachment import Attachment
from keras_bert_suite.layers.token_layout import TokenLayout


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class SoftPrompt(Attachment):
    """`length` learnt vectors, as wide as the word embeddings, before each row.

    Args:
      length: vectors of the prompt.
      embedding_size: of the encoder's word embeddings.

    Source: Lester et al. 2021, arXiv:2104.08691, section 2.
    """

    def __init__(self, *, length, embedding_size, **kwargs):
        super().__init__(**kwargs)
        self.length, self.embedding_size = length, embedding_size
        self.build()

    def build(self, input_shape=None):
        self.prompt_embeddings = self.add_weight(
            shape=(self.length, self.embedding_size),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="prompt_embeddings",
        )

    @property
    def variable_names(self):
        return ("prompt_embeddings",)

    def prepend(self, tokens_TH, *, prompt_PH, layout):
        """Returns the tokens with the prompt before each row, and their layout.

        Args:
          tokens_TH: floating [tokens, hidden_size], in `layout`.
          prompt_PH: floating [length, hidden_size], what the embeddings made of the prompt.
          layout: the TokenLayout of the batch.
        """
        rows_BSH = layout.to_padded(tokens_TH)
        shape = [layout.batch_size, *prompt_PH.shape]
        rows_BSH = tf.concat([tf.broadcast_to(prompt_PH[None], shape), rows_BSH], 1)
        real = tf.ones([layout.batch_size, self.length], tf.int32)
        mask = tf.concat([real, layout.padding_mask], 1)
        longer = TokenLayout(
            mask, unpadded=layout.unpadded, long_rows=layout.long_rows, even=layout.even
        )
        return longer.to_stream(rows_BSH), longer

    def get_config(self):
        return {
            **super().get_config(),
            "length": self.length,
            "embedding_size": self.embedding_size,
        }
