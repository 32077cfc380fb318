"""What every head has in common."""

from __future__ import annotations

import keras
import tensorflow as tf


class Head(keras.layers.Layer):
    """A layer that turns the encoded batch into named logits and owns the loss on them.

    A head knows its targets' keys in the batch, so a loaded model trains in a plain `fit`. Every
    loss and metric is a pair (sum, weight); the model divides by the weight of all replicas.

    Subclasses set `kind`, `terms` and `metric_names` and implement `call`, `loss_weights`,
    `loss_terms` and `metric_terms`. Where the batch has no targets, the three return empty dicts.
    """

    kind: str  # the name under which the model directory and `model.heads` know it
    terms: tuple[str, ...]  # names of the loss terms
    metric_names: tuple[str, ...]  # names of the metrics
    target_key: str  # key of the targets in the batch
    uses_pooler: bool = True  # whether it reads the pooled output
    uses_all_layers: bool = False  # whether it reads `all_hidden_states`, see Encoder
    # Constructor arguments, JSON values, that a model directory keeps under our own key because
    # Hugging Face has no key for them.
    own_options: tuple[str, ...] = ()
    # Constructor arguments that no weight depends on and that the directory's task tells.
    task_options: tuple[str, ...] = ()

    def call(self, encoded, batch, training=None):
        """Returns a dict of named float32 logits.

        Args:
          encoded: dict with `sequence_output` [batch, length, hidden], `pooled_output` [batch,
            hidden], `padding_mask` int32 [batch, length] and `token_embedding_table` [vocab,
            embedding size].
          batch: the dict that was encoded.
          training: bool.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `call`")

    def loss_weights(self, batch):
        """Returns {term: float32 scalar}: the weight of `loss_terms`, from the batch alone."""
        raise NotImplementedError(f"{type(self).__name__} must implement `loss_weights`")

    def loss_terms(self, outputs, batch):
        """Returns {term: (loss_sum, weight_sum)}, float32 scalars in nats and targets."""
        raise NotImplementedError(f"{type(self).__name__} must implement `loss_terms`")

    def metric_terms(self, outputs, batch):
        """Returns {metric: (hit_sum, weight_sum)}, float32 scalars."""
        raise NotImplementedError(f"{type(self).__name__} must implement `metric_terms`")


def example_weights(batch, labels):
    """Returns float32 of the labels' shape: the batch's `example_weights`, or ones.

    Weight 0 marks a row that only completes a batch. Where packed rows have labels [batch,
    examples], weights [batch] count for all examples of a row.
    """
    weights = tf.ones(tf.shape(labels), tf.float32)
    if "example_weights" in batch:
        given = tf.cast(batch["example_weights"], tf.float32)
        weights *= given[:, None] if len(given.shape) < len(labels.shape) else given
    return weights


def of_rank(rank, targets, *, key):
    """Returns the targets with `rank` axes; a last axis of one, as a table's column has, goes.

    Left there, a loss of numbers would take each row's with every other row's.

    Args:
      rank: axes that the head reads.
      targets: tensor.
      key: its name in the batch.

    Raises:
      ValueError: another number of axes.
    """
    shape = targets.shape
    if len(shape) == rank + 1 and shape[-1] == 1:
        return tf.squeeze(targets, -1)
    if len(shape) != rank:
        remedy = ". Of one-hot rows take tf.argmax(rows, -1)" if len(shape) == rank + 1 else ""
        raise ValueError(
            f"`{key}` must have the rank {rank}, or a last axis of size 1 more. "
            f"Received the shape {shape}{remedy}"
        )
    return targets


def token_weights(batch, *, targets, weights=None):
    """Returns float32 [batch, length]: how much each token's target counts.

    The batch's `weights`, or else its padding mask, or else ones; times `example_weights`.

    Args:
      batch: dict with the targets.
      targets, weights: keys of the batch.
    """
    shape = tf.shape(batch[targets])
    if weights in batch:
        values = tf.cast(batch[weights], tf.float32)
    elif "padding_mask" in batch:
        values = tf.cast(batch["padding_mask"], tf.float32)
    else:
        values = tf.ones(shape, tf.float32)
    if "example_weights" in batch:
        values *= tf.cast(batch["example_weights"], tf.float32)[:, None]
    return values
