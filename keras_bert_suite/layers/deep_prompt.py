"""The prompts of prefix tuning: keys and values that every token of a layer may attend to."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.attachment import Attachment
from keras_bert_suite.layers.attention_products import Prefix


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class DeepPrompt(Attachment):
    """`length` keys and values before those of the tokens, in each layer its own.

    Args:
      length: vectors of the prompt.
      num_layers, num_heads, hidden_size: the encoder's.

    Source: Li & Liang 2021, arXiv:2101.00190; Liu et al. 2021 (P-tuning v2), arXiv:2110.07602,
      without reparametrisation.
    """

    def __init__(self, *, length, num_layers, num_heads, hidden_size, **kwargs):
        super().__init__(**kwargs)
        self.length, self.num_layers = length, num_layers
        self.num_heads, self.hidden_size = num_heads, hidden_size
        self.build()

    def build(self, input_shape=None):
        # PEFT's shape: for each vector the layers, in each the key and then the value.
        self.prompt_embeddings = self.add_weight(
            shape=(self.length, self.num_layers * 2 * self.hidden_size),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="prompt_embeddings",
        )

    @property
    def variable_names(self):
        return ("prompt_embeddings",)

    def prefix(self, index):
        """Returns the Prefix of layer `index`, of all rows."""
        width = self.hidden_size // self.num_heads
        shape = [self.length, self.num_layers, 2, self.num_heads, width]
        prompt = tf.cast(tf.convert_to_tensor(self.prompt_embeddings), self.compute_dtype)
        both = tf.transpose(tf.unstack(tf.reshape(prompt, shape), axis=1)[index], [1, 2, 0, 3])
        return Prefix(*tf.unstack(both[:, None]))

    def get_config(self):
        return {
            **super().get_config(),
            "length": self.length,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "hidden_size": self.hidden_size,
        }
