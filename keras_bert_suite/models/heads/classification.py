"""The sequence-classification head."""

from __future__ import annotations

import keras

from keras_bert_suite.models.heads.row_classifier import RowClassifier


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class ClassificationHead(RowClassifier):
    """Chooses one label for a row, of one segment or two.

    "label_logits" [batch, labels]; the targets are `label_ids`, int32 [batch], optionally with
    `example_weights`.

    Args:
      labels: names of the labels; a label's id is its place here.
      hidden_size: width of the pooled output.
      dropout: probability, on the pooled output in training.
      initializer_range: standard deviation of the kernel's truncated normal.

    Raises:
      ValueError: for fewer than two labels or a label that appears twice.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 4.1.
    """

    kind = "classification"
    terms = ("label",)
    metric_names = ("label_accuracy",)
    target_key = "label_ids"
    output_key = "label_logits"

    def __init__(
        self,
        *,
        labels,
        hidden_size,
        dropout=0.1,
        initializer_range=0.02,
        name="classification",
        **kwargs,
    ):
        labels = [str(label) for label in labels]
        if len(labels) < 2:
            raise ValueError(f"`labels` must name at least two classes. Received: {labels}")
        repeated = sorted({label for label in labels if labels.count(label) > 1})
        if repeated:
            raise ValueError(f"`labels` must differ from each other. Received twice: {repeated}")
        super().__init__(
            num_classes=len(labels),
            hidden_size=hidden_size,
            dropout=dropout,
            initializer_range=initializer_range,
            name=name,
            **kwargs,
        )
        self.labels = labels

    @classmethod
    def for_encoder(cls, config, *, labels, **kwargs):
        """Returns a fresh head for an EncoderConfig, with its hidden dropout."""
        return cls(
            labels=labels,
            hidden_size=config.hidden_size,
            dropout=config.hidden_dropout,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def get_config(self):
        return {**super().get_config(), "labels": list(self.labels)}
