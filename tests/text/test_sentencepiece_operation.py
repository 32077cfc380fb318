"""SentencePiece inside the graph: exports by itself, outlives a new seed, refuses no model."""

from __future__ import annotations

import pytest
import tensorflow as tf

from keras_bert_suite.text.sentencepiece_operation import SentencePieceOperation


def test_a_graph_brings_its_model_along(sentencepiece_directory, tmp_path):
    model = (sentencepiece_directory / "spiece.model").read_bytes()
    operation = SentencePieceOperation(model, source="test")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(text):
        ids, starts, ends = operation.ids_and_bytes(text)
        return {"ids": ids.to_tensor(), "starts": starts.to_tensor(), "ends": ends.to_tensor()}

    texts = tf.constant(["some text", "", "é 力"])
    expected = serve(texts)
    assert expected["ids"].dtype == expected["starts"].dtype == tf.int32
    tf.saved_model.save(tf.Module(), tmp_path, signatures={"serving_default": serve})
    loaded = tf.saved_model.load(tmp_path)
    tf.random.set_seed(3)
    found = loaded.signatures["serving_default"](text=texts)
    for name, value in expected.items():
        assert found[name].numpy().tolist() == value.numpy().tolist()
    assert operation.ids(texts).to_tensor().numpy().tolist() == expected["ids"].numpy().tolist()


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="test is damaged, SentencePiece does not take it"):
        SentencePieceOperation(b"no model", source="test")
