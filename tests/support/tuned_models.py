"""A tiny model for every tuning method: two layers of 32, and heads of the tasks."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import toy_classification as toy

from keras_bert_suite.checkpoints import adapters
from keras_bert_suite.checkpoints.model_directory import (
    load_encoder,
    load_model,
    read_encoder_config,
    save_model,
)
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.span_question import SpanQuestionHead
from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.labeling import Labeling
from keras_bert_suite.tasks.question_answering import QuestionAnswering

LABELS = ["animal", "food", "tool"]
TASKS = {
    "classification": Classification(text_column="text", labels=tuple(LABELS)),
    "labeling": Labeling(labels=("O", *LABELS), tag_scheme="plain"),
    "qa": QuestionAnswering(),
}


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
    config = read_encoder_config(base)
    heads = {
        "classification": lambda: ClassificationHead.for_encoder(config, labels=LABELS),
        "labeling": lambda: TokenLabelingHead.for_encoder(config, labels=["O", *LABELS]),
        "qa": lambda: SpanQuestionHead.for_encoder(config),
    }
    made = [heads[task]() for task in tasks]
    encoder = load_model(base, heads=made[:1]).encoder  # with a pooler where the head reads it
    model = adapters.apply(BertModel(encoder, made), method, base=base)
    if compiled:
        model.compile(compiled)
    return model


def write(base, directory, method, *, task="classification", seed=1):
    """Writes a directory whose tuned weights are random; returns the model that it holds."""
    model = make(base, method, tasks=[task])
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(generator.normal(0, 0.1, variable.shape).astype(np.float32))
    extra = {"task": TASKS[task].to_config(), "sequence_length": 16}
    save_model(model, directory, tokenizer=toy.tokenizer(), extra=extra)
    return model


def check_stored_once(exported, *, base_dir, tuned_dirs):
    """Asserts that a SavedModel of several tuned parts holds their base's weights and theirs."""
    variables = tf.train.list_variables(str(exported / "variables" / "variables"))
    stored = sum(int(np.prod(shape)) for name, shape in variables if "OBJECT_GRAPH" not in name)
    files = [SafetensorsFile(directory / "adapter_model.safetensors") for directory in tuned_dirs]
    tuned = sum(int(np.prod(file.shape(name))) for file in files for name in file.names)
    # The classifier's pooler and the LayerNorms of Houlsby are in the tuned parts; no task reads
    # the base's own pooler.
    base = load_encoder(base_dir)
    assert stored == base.count_params() - base.pooler.count_params() + tuned
