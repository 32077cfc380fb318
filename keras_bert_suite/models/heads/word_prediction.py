"""What heads have in common that predict tokens by the encoder's own embedding table."""

from __future__ import annotations

import tensorflow as tf

from keras_bert_suite.losses import masked_lm_loss
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.head import Head, example_weights


class WordPredictionHead(Head):
    """Scores every word of the vocabulary at each prediction position, and owns the loss on it.

    The targets are `prediction_ids`, int32 [batch, predictions], and the float32 weights under
    `weights_key`, alike, 0 = no target; optionally `example_weights`, float32 [batch].

    Subclasses set one name in `terms` and in `metric_names`, `vocab_size`, `hidden_size` and
    `embedding_size`, and give "<term>_logits".
    """

    target_key = "prediction_ids"
    uses_pooler = False
    weights_key: str  # in a batch that has targets

    def build(self, input_shape=None):
        """Adds the bias of the words; call it last, for the order of the weights."""
        self.bias = self.add_weight(shape=(self.vocab_size,), initializer="zeros", name="bias")

    def word_logits(self, words, encoded):
        """Returns float32 [batch, predictions, vocab]: each vector against the table, and a bias.

        Args:
          words: [batch, predictions, embedding size].
          encoded: what the encoder gave; see `Head.call`.
        """
        table_VE = tf.cast(encoded["token_embedding_table"], self.compute_dtype)
        flat_NE = tf.reshape(words, [-1, self.embedding_size or self.hidden_size])
        logits_NV = tf.cast(tf.matmul(flat_NE, table_VE, transpose_b=True), tf.float32)
        logits_NV += tf.cast(self.bias, tf.float32)
        shape = tf.concat([tf.shape(words)[:2], [self.vocab_size]], 0)
        logits_BPV = tf.reshape(logits_NV, shape)
        return tf.ensure_shape(logits_BPV, [*words.shape[:2], self.vocab_size])

    def loss_weights(self, batch):
        if not self._has_targets(batch):
            return {}
        return {self.terms[0]: tf.reduce_sum(self._weights(batch))}

    def loss_terms(self, outputs, batch):
        if not self._has_targets(batch):
            return {}
        loss = masked_lm_loss(
            outputs[f"{self.terms[0]}_logits"],
            prediction_ids=batch["prediction_ids"],
            prediction_weights=self._weights(batch),
        )
        return {self.terms[0]: loss}

    def metric_terms(self, outputs, batch):
        if not self._has_targets(batch):
            return {}
        logits = outputs[f"{self.terms[0]}_logits"]
        accuracy = sparse_accuracy(logits, batch["prediction_ids"], weights=self._weights(batch))
        return {self.metric_names[0]: accuracy}

    def _has_targets(self, batch):
        return self.weights_key in batch

    def _weights(self, batch):
        """float32 [batch, predictions]: how much each prediction counts."""
        weights = tf.cast(batch[self.weights_key], tf.float32)
        return weights * example_weights(batch, batch["prediction_ids"])
