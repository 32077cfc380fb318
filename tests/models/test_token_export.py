"""`model.export(path)` as of any Keras model."""

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy

from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead


@pytest.fixture(scope="module")
def model():
    config = toy.encoder_config()
    head = ClassificationHead.for_encoder(config, labels=["a", "b"])
    return BertModel(Encoder(config), [head])


@pytest.mark.parametrize("part", ["model", "encoder"])
def test_a_model_is_exported_for_rows_of_any_number_and_length(model, part, tmp_path):
    exported = model if part == "model" else model.encoder
    exported.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for texts in (["the cat"], ["a red tool", "the dog and the cat", ""]):
        batch = toy.tokenizer()(texts)
        expected = exported(batch)
        answers = loaded.serve(batch)
        assert set(answers) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(answers[name], value, atol=1e-6, err_msg=name)


def test_a_signature_of_ones_own_is_taken(model, tmp_path):
    specs = {"token_ids": tf.TensorSpec([None, 4], tf.int32, name="token_ids")}
    model.export(tmp_path / "saved", verbose=False, input_signature=[specs])
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    (taken,) = loaded.signatures["serving_default"].structured_input_signature[1].values()
    assert taken.shape.as_list() == [None, 4]
