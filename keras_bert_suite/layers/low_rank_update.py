"""The low-rank correction of a dense layer: LoRA."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.attachment import Attachment
from keras_bert_suite.layers.dropout import Dropout


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class LowRankUpdate(Attachment):
    """x A B alpha / rank, for some of the equal parts of a dense layer's outputs.

    A is uniform within +-1/sqrt(inputs), B is 0: before training the update is 0.

    Args:
      inputs, units: width of the dense layer's inputs and outputs.
      parts: equal parts of the outputs (3 for the fused query, key and value).
      targets: the parts that are corrected, ascending.
      rank: columns of A.
      alpha: scale; the update is multiplied by alpha / rank.
      dropout: probability, on x.

    Source: Hu et al. 2021, arXiv:2106.09685, section 4.1; the initial A is that of PEFT.
    """

    def __init__(self, *, inputs, units, rank, alpha, parts=1, targets=(0,), dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.inputs, self.units = inputs, units
        self.rank, self.alpha = rank, alpha
        self.parts, self.targets = parts, tuple(targets)
        self.dropout_rate = dropout
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.build()

    def build(self, input_shape=None):
        bound = self.inputs**-0.5
        for target in self.targets:
            a = self.add_weight(
                shape=(self.inputs, self.rank),
                initializer=keras.initializers.RandomUniform(-bound, bound),
                name=f"a_{target}",
            )
            b = self.add_weight(
                shape=(self.rank, self.units // self.parts), initializer="zeros", name=f"b_{target}"
            )
            setattr(self, f"a_{target}", a)
            setattr(self, f"b_{target}", b)

    @property
    def variable_names(self):
        return tuple(f"{kind}_{target}" for target in self.targets for kind in "ab")

    def call(self, inputs, training=None):
        """Returns [tokens, units] of [tokens, inputs], in the compute dtype."""
        inputs = self.dropout(inputs, training=training)
        # One product makes the narrow vectors of all parts; the wide ones follow part by part.
        a = tf.concat([self._cast(f"a_{target}") for target in self.targets], 1)
        narrow = tf.split(tf.matmul(inputs, a), len(self.targets), axis=-1)
        outputs = {
            target: tf.matmul(part, self._cast(f"b_{target}"))
            for target, part in zip(self.targets, narrow, strict=True)
        }
        zeros = tf.zeros_like(outputs[self.targets[0]])
        joined = [outputs.get(part, zeros) for part in range(self.parts)]
        update = joined[0] if self.parts == 1 else tf.concat(joined, -1)
        return update * tf.cast(self.scale, update.dtype)

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    def matrix(self):
        """Returns float32 [inputs, units], what to add to the dense layer's kernel."""
        part = [self.inputs, self.units // self.parts]
        columns = [
            tf.matmul(self._float(f"a_{i}"), self._float(f"b_{i}")) * self.scale
            if i in self.targets
            else tf.zeros(part)
            for i in range(self.parts)
        ]
        return tf.concat(columns, 1)

    def _cast(self, name):
        return tf.cast(tf.convert_to_tensor(getattr(self, name)), self.compute_dtype)

    def _float(self, name):
        return tf.cast(tf.convert_to_tensor(getattr(self, name)), tf.float32)

    def get_config(self):
        return {
            **super().get_config(),
            "inputs": self.inputs,
            "units": self.units,
            "rank": self.rank,
            "alpha": self.alpha,
            "parts": self.parts,
            "targets": list(self.targets),
            "dropout": self.dropout_rate,
        }
