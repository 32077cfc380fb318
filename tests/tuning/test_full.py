"""Full tuning: everything learns, everything is kept, the model is plain already."""

import toy_classification as toy

from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.tuning.full import FullTuning


def test_all_weights_learn_whatever_was_frozen_before():
    config = toy.encoder_config()
    head = ClassificationHead.for_encoder(config, labels=["a", "b"])
    model = BertModel(Encoder(config), [head])
    model.encoder.trainable = False
    model.encoder.trainable = True
    model.encoder.blocks[0].trainable = False
    model.encoder.pooler.trainable = False
    assert len(model.trainable_variables) < len(model.weights)
    method = FullTuning()
    assert method.apply(model) is model
    assert {v.path for v in model.trainable_variables} == {v.path for v in model.weights}
    assert {v.path for v in method.saved(model)} == {v.path for v in model.weights}
    assert method.merge(model) is model


def test_defaults_lie_in_the_paper_s_range():
    assert 2e-5 <= FullTuning.default_learning_rate <= 5e-5
    assert 2 <= FullTuning.default_epochs <= 4
