"""A tiny model for every tuning method: two layers of 32, and heads of the tasks."""

from __future__ import annotations

import tensorflow as tf
import toy_classification as toy

from keras_bert_suite.checkpoints import adapters
from keras_bert_suite.checkpoints.model_directory import load_encoder
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.span_question import SpanQuestionHead
from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead

LABELS = ["animal", "food", "tool"]


def batch():
    """Sixteen texts of 2 to 12 words in one padded batch, with targets of three tasks."""
    rows = toy.texts(16)
    encoded = toy.tokenizer()([text for text, _ in rows])
    first = toy.VOCABULARY.index("cat")
    kinds = tf.where(encoded["token_ids"] >= first, (encoded["token_ids"] - first) // 4 + 1, 0)
    place = tf.argmax(tf.cast(kinds > 0, tf.int32), 1, output_type=tf.int32)
    return {
        **encoded,
        "label_ids": tf.constant([LABELS.index(label) for _, label in rows]),
        "tag_ids": tf.cast(kinds, tf.int32),
        "start_positions": place,
        "end_positions": place,
    }


def make(base, method, *, tasks=("classification", "labeling", "qa"), compiled=None):
    """Returns a model of the encoder in `base` with fresh heads, `method` applied."""
    encoder = load_encoder(base)
    heads = {
        "classification": lambda: ClassificationHead.for_encoder(encoder.config, labels=LABELS),
        "labeling": lambda: TokenLabelingHead.for_encoder(encoder.config, labels=["O", *LABELS]),
        "qa": lambda: SpanQuestionHead.for_encoder(encoder.config),
    }
    model = BertModel(encoder, [heads[task]() for task in tasks])
    model = adapters.apply(model, method, base=base)
    if compiled:
        model.compile(compiled)
    return model
