"""One update of the weights on all replicas, left out where it would do harm."""

from __future__ import annotations

import keras
import tensorflow as tf

# Losses that the running median looks back on, and how many it needs before it judges.
_WINDOW, _FEWEST = 64, 16


class UpdateGuard:
    """Tells harmful steps from others and counts them.

    A step is harmful when its loss or the norm of its gradient is not finite, or when the loss is
    more than `spike_factor` times the median of the last 64 good losses (from the 16th on). Under
    float16 a gradient may overflow as long as the loss scale can be lowered: that is the business
    of the LossScaleOptimizer.

    All it sees is summed over the replicas, so that they agree. Make it in the strategy's scope.

    Args:
      spike_factor: float > 1; None lets every finite loss pass.

    Attributes:
      skipped: int64 scalar variable, the harmful steps so far.
      variables: the guard's whole state, to be saved with the optimizer's.

    Raises:
      ValueError: a factor that is not greater than 1.
    """

    def __init__(self, spike_factor: float | None = None):
        if spike_factor is not None and not spike_factor > 1:
            raise ValueError(f"spike_factor must be greater than 1. Received: {spike_factor}")
        self.spike_factor = spike_factor
        # "none": each replica writes its own copy, and all write the same.
        options = {"trainable": False, "aggregation": "none"}
        self.skipped = keras.Variable(0, dtype="int64", name="skipped_steps", **options)
        self._good = keras.Variable(0, dtype="int64", name="good_steps", **options)
        self._losses = keras.Variable([float("inf")] * _WINDOW, name="good_losses", **options)
        self.variables = [self.skipped, self._good, self._losses]

    def accepts(self, loss, gradients, optimizer):
        """Returns a bool scalar, False for a harmful step, and remembers the judgement.

        Args:
          loss: float32 scalar, the step's total loss over all replicas.
          gradients: float32 tensors, summed over all replicas, scaled as the optimizer takes them.
          optimizer: the one that is going to take them.
        """
        finite = tf.math.is_finite(tf.linalg.global_norm(gradients))
        scale = getattr(optimizer, "dynamic_scale", None)
        if scale is not None:
            finite = tf.logical_or(finite, tf.convert_to_tensor(scale) > 1.0)
        good = tf.logical_and(tf.math.is_finite(loss), finite)
        if self.spike_factor is not None:
            good = tf.logical_and(good, loss <= self.spike_factor * self._median())
        self._remember(loss, good)
        return good

    def _median(self):
        """The upper median of the good losses in the window; infinite while they are too few."""
        count = tf.convert_to_tensor(self._good)
        place = tf.cast(tf.minimum(count, _WINDOW) // 2, tf.int32)
        median = tf.sort(tf.convert_to_tensor(self._losses))[place]
        return tf.where(count < _FEWEST, float("inf"), median)

    def _remember(self, loss, good):
        count = tf.convert_to_tensor(self._good)
        here = tf.logical_and(tf.range(_WINDOW, dtype=tf.int64) == count % _WINDOW, good)
        self._losses.assign(tf.where(here, loss, tf.convert_to_tensor(self._losses)))
        self._good.assign(count + tf.cast(good, tf.int64))
        self.skipped.assign(tf.convert_to_tensor(self.skipped) + tf.cast(~good, tf.int64))


def apply_if(wanted, optimizer, gradients, variables):
    """Lets the optimizer apply the gradients where `wanted` is true; otherwise nothing changes.

    Args:
      wanted: bool scalar, the same on all replicas.
      optimizer: see `take_reduced_gradients`.
      gradients: tensors, the same on all replicas.
      variables: as many.
    """

    def apply(gradients):
        optimizer.apply(gradients, variables)

    def across(strategy, wanted, gradients):
        # A condition whose branch merges the replicas must itself stand outside of them.
        wanted = strategy.experimental_local_results(wanted)[0]

        def apply_on_all():
            strategy.extended.call_for_each_replica(apply, args=(gradients,))
            return tf.constant(True)

        tf.cond(wanted, apply_on_all, lambda: tf.constant(False))

    tf.distribute.get_replica_context().merge_call(across, args=(wanted, gradients))


def take_reduced_gradients(optimizer, strategy):
    """Makes a Keras optimizer take gradients that are already summed over all replicas.

    The stock optimizer clips and tests for infinities before it sums, replica by replica.

    Raises:
      ValueError: an optimizer that was made outside the scope of the strategy.
    """
    if strategy.num_replicas_in_sync > 1 and optimizer._distribution_strategy is not strategy:
        raise ValueError(
            "The optimizer must be made inside `strategy.scope()`, like the model. "
            f"Received an optimizer of another scope: {optimizer.name}"
        )
    for one in (optimizer, getattr(optimizer, "inner_optimizer", None)):
        if one is not None:
            one._all_reduce_sum_gradients = list
