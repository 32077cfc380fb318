"""Dropout whose masks differ between the replicas of a strategy."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.recomputation import dropout_seed


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class Dropout(keras.layers.Layer):
    """Sets a share of its input to zero in training and scales the rest by 1 / (1 - rate).

    Keras' own layer draws the same mask on every replica, since the replicas' seed generators
    advance together; this one folds the replica's number into the seed. Padding is treated like any
    other position.

    Args:
      rate: probability of a zero, in [0, 1); rounded to a multiple of 2**-16 below 1.
      seed: int, the seed generator's start; None draws one.
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must be a probability in [0, 1). Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        if rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=None):
        """Returns a tensor of the inputs' shape and dtype."""
        if not training or self.rate == 0:
            return inputs
        return self.apply(inputs, self.new_seed())

    def apply(self, inputs, seed):
        """Returns the inputs with the mask of a seed, int32 [2]; the same seed, the same mask."""
        # 16 bits decide on a number: drawing 32 takes nearly twice the time, and a number drawn in
        # bfloat16 has 7 random bits, too few for most rates.
        threshold = min(round(self.rate * 2**16), 2**16 - 1)
        keep = _random_uint16(tf.shape(inputs), seed) >= tf.constant(threshold, tf.uint16)
        scaled = inputs * (2**16 / (2**16 - threshold))
        return tf.where(keep, scaled, tf.zeros([], inputs.dtype))

    def new_seed(self):
        """Returns the seed of a call, int32 [2]; in a recomputation that of the first time."""
        return dropout_seed(self._draw_seed)

    def _draw_seed(self):
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            seed = tf.random.experimental.stateless_fold_in(seed, context.replica_id_in_sync_group)
        return seed

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def _random_uint16(shape, seed):
    size = tf.reduce_prod(shape)
    pairs = tf.random.stateless_uniform([(size + 1) // 2], seed, None, None, tf.uint32)
    return tf.reshape(tf.reshape(tf.bitcast(pairs, tf.uint16), [-1])[:size], shape)
