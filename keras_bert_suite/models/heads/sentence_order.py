"""ALBERT's sentence-order head."""

from __future__ import annotations

import keras

from keras_bert_suite.models.heads.row_classifier import RowClassifier


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class SentenceOrderHead(RowClassifier):
    """Tells from the pooled output whether two consecutive segments stand in their order.

    "sop_logits" [batch, 2]: column 0 = in order, column 1 = swapped. The targets are
    `sentence_order_labels`, int32 [batch], optionally with `sentence_order_weights`, float32
    [batch]; in packed rows [batch, examples].

    Args:
      hidden_size: width of the pooled output.
      dropout: probability, on the pooled output in training.
      initializer_range: standard deviation of the kernel's truncated normal.

    Source: Lan et al. 2019, arXiv:1909.11942, section 3.1; transformers `AlbertSOPHead`.
    """

    kind = "sop"
    terms = ("sop",)
    metric_names = ("sop_accuracy",)
    target_key = "sentence_order_labels"
    weights_key = "sentence_order_weights"
    output_key = "sop_logits"

    def __init__(
        self, *, hidden_size, dropout=0.1, initializer_range=0.02, name="sentence_order", **kwargs
    ):
        super().__init__(
            num_classes=2,
            hidden_size=hidden_size,
            dropout=dropout,
            initializer_range=initializer_range,
            name=name,
            **kwargs,
        )

    @classmethod
    def for_encoder(cls, config, *, dropout=None, **kwargs):
        """Returns a fresh head for an EncoderConfig; its dropout is the encoder's unless told."""
        return cls(
            hidden_size=config.hidden_size,
            dropout=config.hidden_dropout if dropout is None else dropout,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def get_config(self):
        config = super().get_config()
        del config["hidden_activation"], config["input_dropout"]
        return config
