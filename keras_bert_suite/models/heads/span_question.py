"""The extractive question-answering head."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.classifier import Classifier
from keras_bert_suite.models.heads.head import example_weights

# The logit of padding: exp(-1e9) is 0, and the number is finite, so that a row of padding alone
# gives finite losses.
PADDING_LOGIT = -1e9


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class SpanQuestionHead(Classifier):
    """Scores every token as the first and as the last of the answer.

    "start_logits" and "end_logits", float32 [batch, length], PADDING_LOGIT in the padding. The
    targets are `start_positions` and `end_positions`, int32 [batch], columns of the row; (0, 0)
    stands for no answer, and a negative start for a row whose answer is not known and that does not
    count. Optionally `example_weights`. The loss is the mean of the two
    cross-entropies, in nats.

    Args:
      hidden_size: width of the tokens.
      dropout: probability, on the tokens in training (0 but in DistilBERT).
      initializer_range: standard deviation of the kernel's truncated normal.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 4.2; google-research/bert run_squad.py.
    """

    kind = "qa"
    terms = ("qa",)
    metric_names = ("start_accuracy", "end_accuracy")
    target_key = "start_positions"
    uses_pooler = False

    def __init__(
        self, *, hidden_size, dropout=0.0, initializer_range=0.02, name="question", **kwargs
    ):
        super().__init__(
            num_classes=2,  # column 0 the start, column 1 the end
            hidden_size=hidden_size,
            dropout=dropout,
            initializer_range=initializer_range,
            name=name,
            **kwargs,
        )

    @classmethod
    def for_encoder(cls, config, *, dropout=None, **kwargs):
        """Returns a fresh head for an EncoderConfig; `dropout` None takes the family's."""
        if dropout is None:
            dropout = 0.1 if config.family == "distilbert" else 0.0
        return cls(
            hidden_size=config.hidden_size,
            dropout=dropout,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def call(self, encoded, batch, training=None):
        """Returns {"start_logits", "end_logits"}: float32 [batch, length]."""
        logits_BS2 = self.logits(encoded["sequence_output"], training=training)
        start_BS, end_BS = tf.unstack(logits_BS2, axis=-1)
        real_BS = encoded["padding_mask"] > 0
        return {
            "start_logits": tf.where(real_BS, start_BS, PADDING_LOGIT),
            "end_logits": tf.where(real_BS, end_BS, PADDING_LOGIT),
        }

    def loss_weights(self, batch):
        if not _has_targets(batch):
            return {}
        return {"qa": tf.reduce_sum(_weights(batch))}

    def loss_terms(self, outputs, batch):
        if not _has_targets(batch):
            return {}
        (start, weight), (end, _) = (
            sparse_cross_entropy(logits, positions, weights=weights)
            for logits, positions, weights in _both(outputs, batch)
        )
        return {"qa": ((start + end) / 2, weight)}

    def metric_terms(self, outputs, batch):
        if not _has_targets(batch):
            return {}
        start, end = (
            sparse_accuracy(logits, positions, weights=weights)
            for logits, positions, weights in _both(outputs, batch)
        )
        return {"start_accuracy": start, "end_accuracy": end}

    def get_config(self):
        config = super().get_config()
        del config["hidden_activation"], config["input_dropout"]
        return config


def _has_targets(batch):
    return "start_positions" in batch and "end_positions" in batch


def _weights(batch):
    starts = batch["start_positions"]
    return example_weights(batch, starts) * tf.cast(starts >= 0, tf.float32)


def _both(outputs, batch):
    """The logits, targets and weights of the starts, then those of the ends."""
    weights = _weights(batch)
    for side in ("start", "end"):
        yield outputs[f"{side}_logits"], tf.maximum(batch[f"{side}_positions"], 0), weights
