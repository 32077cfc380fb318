"""The sequence-classification head."""

from __future__ import annotations

import keras

from keras_bert_suite.models.heads.classifier import checked_labels
from keras_bert_suite.models.heads.row_classifier import RowClassifier

# Families whose published classifiers have a hidden layer of their own, in place of the pooler.
_HIDDEN_ACTIVATION = {"roberta": "tanh", "distilbert": "relu", "electra": "gelu"}
_INPUT_DROPOUT = ("roberta", "electra")  # those with dropout before the hidden layer too
# transformers' defaults, where they are not the encoder's hidden dropout
_DROPOUT = {"albert": 0.1, "distilbert": 0.2}


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class ClassificationHead(RowClassifier):
    """Chooses one label for a row, of one segment or two.

    "label_logits" [batch, labels]; the targets are `label_ids`, int32 [batch], optionally with
    `example_weights`.

    Args:
      labels: names of the labels; a label's id is its place here.
      hidden_size: width of the pooled output.
      dropout: probability, before the classifier in training.
      hidden_activation: None classifies the pooled output; an activation ("tanh", "relu", "gelu")
        classifies the first token by way of a hidden layer of its own.
      input_dropout: probability, before that hidden layer in training.
      initializer_range: standard deviation of the kernels' truncated normal.

    Raises:
      ValueError: for fewer than two labels or a label that appears twice.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 4.1.
    """

    kind = "classification"
    problem_type = "single_label_classification"  # transformers' name for what the loss is
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
        hidden_activation=None,
        input_dropout=0.0,
        initializer_range=0.02,
        name="classification",
        **kwargs,
    ):
        labels = self.checked_labels(labels)
        super().__init__(
            num_classes=len(labels),
            hidden_size=hidden_size,
            dropout=dropout,
            hidden_activation=hidden_activation,
            input_dropout=input_dropout,
            initializer_range=initializer_range,
            name=name,
            **kwargs,
        )
        self.labels = labels

    @classmethod
    def for_encoder(cls, config, *, labels, dropout=None, **kwargs):
        """Returns a fresh head for an EncoderConfig, such as its family has.

        `dropout` None takes the family's: the encoder's hidden dropout in most.
        """
        if dropout is None:
            dropout = _DROPOUT.get(config.family, config.hidden_dropout)
        return cls(
            labels=labels,
            hidden_size=config.hidden_size,
            dropout=dropout,
            hidden_activation=_HIDDEN_ACTIVATION.get(config.family),
            input_dropout=dropout if config.family in _INPUT_DROPOUT else 0.0,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    @staticmethod
    def checked_labels(labels):
        """Returns the labels as a list of str; raises ValueError where they cannot be chosen."""
        return checked_labels(labels)

    def get_config(self):
        return {**super().get_config(), "labels": list(self.labels)}
