"""The next-sentence-prediction head."""

from __future__ import annotations

import keras

from keras_bert_suite.models.heads.row_classifier import RowClassifier


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class NextSentenceHead(RowClassifier):
    """Tells from the pooled output whether the second segment follows the first.

    "nsp_logits" [batch, 2]: column 0 = it follows, column 1 = it is random, as in Google's
    checkpoints. The targets are `next_sentence_labels`, int32 [batch], optionally with
    `next_sentence_weights`, float32 [batch]; in packed rows [batch, examples].

    Args:
      hidden_size: width of the pooled output.
      initializer_range: standard deviation of the kernel's truncated normal.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1; google-research/bert
      run_pretraining.py `get_next_sentence_output`.
    """

    kind = "nsp"
    terms = ("nsp",)
    metric_names = ("nsp_accuracy",)
    target_key = "next_sentence_labels"
    weights_key = "next_sentence_weights"
    output_key = "nsp_logits"

    def __init__(self, *, hidden_size, initializer_range=0.02, name="next_sentence", **kwargs):
        super().__init__(
            num_classes=2,
            hidden_size=hidden_size,
            initializer_range=initializer_range,
            name=name,
            **kwargs,
        )

    @classmethod
    def for_encoder(cls, config, **kwargs):
        """Returns a fresh head for an EncoderConfig."""
        return cls(
            hidden_size=config.hidden_size, initializer_range=config.initializer_range, **kwargs
        )

    def get_config(self):
        config = super().get_config()
        del config["dropout"], config["hidden_activation"], config["input_dropout"]
        return config
