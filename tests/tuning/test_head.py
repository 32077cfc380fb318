"""Head tuning: the head learns, and the pooler where the head reads it; the rest does not move."""

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy

from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead
from keras_bert_suite.tuning.full import FullTuning
from keras_bert_suite.tuning.head import HeadTuning

_BATCH = {
    "token_ids": tf.constant([[2, 6, 7, 3], [2, 8, 3, 0]]),
    "padding_mask": tf.constant([[1, 1, 1, 1], [1, 1, 1, 0]]),
    "label_ids": tf.constant([0, 1]),
    "tag_ids": tf.constant([[0, 1, 0, 0], [0, 1, 0, 0]]),
}


@pytest.mark.parametrize("head", [ClassificationHead, TokenLabelingHead])
def test_what_learns(head):
    config = toy.encoder_config()
    head = head.for_encoder(config, labels=["a", "b"])
    model = BertModel(Encoder(config), [head])
    model.encoder.trainable = False
    method = HeadTuning()
    assert method.apply(model) is model
    expected = [*(model.encoder.pooler.weights if head.uses_pooler else ()), *head.weights]
    assert [v.path for v in model.trainable_variables] == [v.path for v in expected]
    assert [v.path for v in method.saved(model)] == [v.path for v in expected]
    before = {v.path: v.numpy() for v in model.weights}
    model.compile(optimizer="sgd")
    model.fit(tf.data.Dataset.from_tensors(_BATCH), verbose=0)
    moved = {v.path for v in model.weights if not np.array_equal(v.numpy(), before[v.path])}
    assert moved == {v.path for v in expected}
    assert method.merge(model) is model


def test_full_tuning_thaws_what_was_frozen():
    config = toy.encoder_config()
    model = BertModel(Encoder(config), [TokenLabelingHead.for_encoder(config, labels=["a", "b"])])
    HeadTuning().apply(model)
    FullTuning().apply(model)
    assert len(model.trainable_variables) == len(model.weights)
