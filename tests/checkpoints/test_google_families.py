"""ALBERT and ELECTRA of google-research, written by TensorFlow's saver under their names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.checkpoints import huggingface
from keras_bert_suite.checkpoints.model_directory import load_encoder, load_model
from keras_bert_suite.config import EncoderConfig

_SIZES = {
    "vocab_size": 11,
    "hidden_size": 128,
    "num_heads": 2,
    "intermediate_size": 6,
    "max_positions": 8,
    "embedding_size": 4,
    "activation": "gelu_tanh",
}
_ALBERT = EncoderConfig(
    family="albert",
    share_layers=True,
    num_layers=3,
    hidden_dropout=0.0,
    attention_dropout=0.0,
    **_SIZES,
)
_ELECTRA = EncoderConfig(family="electra", use_pooler=False, num_layers=2, **_SIZES)
# As transformers' load_tf_weights_in_albert takes them back, in the order of the replacements.
_ALBERT_NAMES = (
    ("encoder/albert_layer_groups/0/albert_layers/0", "encoder/transformer/group_0/inner_group_0"),
    ("attention/LayerNorm", "LayerNorm"),
    ("full_layer_layer_norm", "LayerNorm_1"),
    ("attention/dense", "attention_1/output/dense"),
    ("attention/query", "attention_1/self/query"),
    ("attention/key", "attention_1/self/key"),
    ("attention/value", "attention_1/self/value"),
    ("ffn_output", "ffn_1/intermediate/output/dense"),
    ("ffn/", "ffn_1/intermediate/dense/"),
    ("albert/pooler", "bert/pooler/dense"),
    ("albert/", "bert/"),
    ("predictions/dense", "cls/predictions/transform/dense"),
    ("predictions/LayerNorm", "cls/predictions/transform/LayerNorm"),
    ("predictions/bias", "cls/predictions/output_bias"),
    ("sop_classifier/classifier/", "cls/seq_relationship/output_"),
)
_ELECTRA_NAMES = (("layer/", "layer_"), ("dense_prediction", "dense_1"))


def _google_name(name, replacements):
    """Hugging Face's name as Google writes it, and whether the matrix lies the other way."""
    if name.startswith("classifier."):
        return name.replace("classifier.", "output_").replace("weight", "weights"), False
    path = name.replace(".", "/")
    for old, new in replacements:
        path = path.replace(old, new)
    if "LayerNorm" in path:
        return path.replace("/weight", "/gamma").replace("/bias", "/beta"), False
    if "_embeddings/" in path:
        return path.removesuffix("/weight"), False
    if "output_weight" in path:
        return path + "s", False
    return path.replace("/weight", "/kernel"), path.endswith("/weight")


def _save(folder, model, replacements, *, more=()):
    tensors = huggingface.write_weights(model.encoder, model.heads)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in tensors.items():
            theirs, transposed = _google_name(name, replacements)
            value = value.T if transposed else value
            tf.compat.v1.get_variable(theirs, initializer=value)
            tf.compat.v1.get_variable(f"{theirs}/adam_m", initializer=value * 0)
        for name in more:
            tf.compat.v1.get_variable(name, initializer=np.ones([2, 3], np.float32))
        tf.compat.v1.get_variable("global_step", initializer=np.int64(7))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(folder / "model.ckpt-best"))


def _albert_config(folder, **changes):
    """albert_config.json as google-research/albert publishes it."""
    values = {
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "embedding_size": 4,
        "hidden_size": 128,
        "initializer_range": 0.02,
        "intermediate_size": 6,
        "max_position_embeddings": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "num_hidden_groups": 1,
        "net_structure_type": 0,
        "gap_size": 0,
        "num_memory_blocks": 0,
        "inner_group_num": 1,
        "down_scale_factor": 1,
        "type_vocab_size": 2,
        "vocab_size": 11,
    }
    (folder / "albert_config.json").write_text(json.dumps({**values, **changes}))


@pytest.mark.parametrize("kinds", [("mlm", "sop"), ("classification",)])
def test_albert(tiny, tmp_path, kinds):
    model = tiny.make_model(*kinds, config=_ALBERT)
    _save(tmp_path, model, _ALBERT_NAMES)
    _albert_config(tmp_path)
    with tf.compat.v1.Graph().as_default():
        names = dict(tf.train.list_variables(str(tmp_path / "model.ckpt-best")))
    # Of albert_base_v2, as its variables are listed.
    group = "bert/encoder/transformer/group_0/inner_group_0"
    assert names[f"{group}/ffn_1/intermediate/output/dense/kernel"] == [6, 128]
    assert names[f"{group}/LayerNorm_1/beta"] == names[f"{group}/LayerNorm/gamma"] == [128]
    assert names["bert/encoder/embedding_hidden_mapping_in/kernel"] == [4, 128]
    loaded = load_model(tmp_path)
    assert loaded.encoder.config == _ALBERT
    assert list(loaded.heads) == list(kinds)
    assert tiny.weight_values(loaded) == tiny.weight_values(model)


def test_albert_with_a_variable_more(tiny, tmp_path):
    _save(tmp_path, tiny.make_model(config=_ALBERT), (("", ""),), more=("bert/adapter/kernel",))
    _albert_config(tmp_path)
    with pytest.raises(ValueError, match="missing|Missing"):
        load_encoder(tmp_path)


def test_several_groups_of_layers_are_refused(tiny, tmp_path):
    _save(tmp_path, tiny.make_model("mlm", config=_ALBERT), _ALBERT_NAMES)
    _albert_config(tmp_path, num_hidden_groups=2)
    with pytest.raises(ValueError, match="`num_hidden_groups` must be 1. Received: 2"):
        load_model(tmp_path)


def test_electra_without_a_config(tiny, tmp_path):
    """Google publishes none; the generator in the same file is another model."""
    model = tiny.make_model("rtd", config=_ELECTRA)
    generator = ("generator/encoder/layer_0/output/dense/kernel", "generator_predictions/x")
    _save(tmp_path, model, _ELECTRA_NAMES, more=generator)
    for path in (tmp_path, tmp_path / "model.ckpt-best"):
        loaded = load_model(path)
        assert loaded.encoder.config == _ELECTRA
        assert list(loaded.heads) == ["rtd"]
        assert tiny.weight_values(loaded) == tiny.weight_values(model)


def test_another_family_of_tensorflow_1(tiny, tmp_path):
    _save(tmp_path, tiny.make_model("rtd", config=_ELECTRA), _ELECTRA_NAMES)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    with pytest.raises(ValueError, match="TensorFlow 1 must be of bert, albert, electra. .*robert"):
        load_encoder(tmp_path)


def test_no_config_and_no_electra(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("electra/embeddings/word_embeddings", initializer=np.ones(2))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"))
    with pytest.raises(FileNotFoundError, match="no bert_config.json or albert_config.json in it"):
        load_encoder(tmp_path)
