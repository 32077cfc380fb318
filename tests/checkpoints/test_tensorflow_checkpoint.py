"""Google's checkpoints, written by TensorFlow's own saver under their names."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.checkpoints import huggingface
from keras_bert_suite.checkpoints.model_directory import load_encoder, load_model, load_tokenizer
from keras_bert_suite.checkpoints.tensorflow_checkpoint import TensorFlowCheckpoint

_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##a", "##b", "##c"]


def _config(tiny):
    return tiny.CONFIG.replace(activation="gelu_tanh", num_layers=2)


def _write_config(folder, config):
    values = config.to_huggingface()
    for key in ("model_type", "layer_norm_eps", "pad_token_id", "position_embedding_type"):
        values.pop(key, None)
    # What Google's code calls gelu is the tanh form.
    (folder / "bert_config.json").write_text(json.dumps({**values, "hidden_act": "gelu"}))


def _google_name(name):
    """A name of Hugging Face as google-research/bert writes it; how the numbers lie."""
    special = {
        "cls.predictions.bias": "cls/predictions/output_bias",
        "cls.seq_relationship.weight": "cls/seq_relationship/output_weights",
        "cls.seq_relationship.bias": "cls/seq_relationship/output_bias",
        "classifier.weight": "output_weights",
        "classifier.bias": "output_bias",
    }
    if name in special:
        return special[name], False
    name = name.replace("layer.", "layer_").replace(".", "/")
    if "LayerNorm" in name:
        return name.replace("/weight", "/gamma").replace("/bias", "/beta"), False
    if "embeddings" in name:
        return name.removesuffix("/weight"), False
    return name.replace("/weight", "/kernel"), name.endswith("/weight")


def _save_tf1(folder, model):
    """Writes bert_model.ckpt with the optimizer's slots, as run_pretraining.py leaves it."""
    tensors = huggingface.write_weights(model.encoder, model.heads)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in tensors.items():
            name = name if model.heads else f"bert.{name}"
            theirs, transposed = _google_name(name)
            value = value.T if transposed else value
            tf.compat.v1.get_variable(theirs, initializer=value)
            for slot in ("adam_m", "adam_v"):
                tf.compat.v1.get_variable(f"{theirs}/{slot}", initializer=value * 0)
        tf.compat.v1.get_variable("global_step", initializer=np.int64(7))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(folder / "bert_model.ckpt"))
    _write_config(folder, model.encoder.config)
    (folder / "vocab.txt").write_text("\n".join(_VOCABULARY) + "\n")


@pytest.fixture(scope="module")
def tf1(tiny, tmp_path_factory):
    """A pre-trained model in Google's layout, and the same model of ours."""
    folder = tmp_path_factory.mktemp("tf1")
    model = tiny.make_model("mlm", "nsp", config=_config(tiny))
    _save_tf1(folder, model)
    return folder, model


@pytest.mark.parametrize("path", ["", "bert_model.ckpt", "bert_model.ckpt.index"])
def test_tf1(tiny, tf1, path):
    folder, model = tf1
    loaded = load_model(folder / path)
    assert loaded.encoder.config == model.encoder.config
    assert tiny.weight_values(loaded) == tiny.weight_values(model)
    assert load_tokenizer(folder / path).lowercase


def test_tf1_classifier(tiny, tmp_path):
    model = tiny.make_model("classification", config=_config(tiny))
    _save_tf1(tmp_path, model)
    loaded = load_model(tmp_path)
    assert tiny.weight_values(loaded) == tiny.weight_values(model)
    assert loaded.heads["classification"].labels == ["LABEL_0", "LABEL_1", "LABEL_2"]


def test_a_cased_vocabulary(tf1, tmp_path):
    shutil.copytree(tf1[0], tmp_path / "m")
    text = (tmp_path / "m" / "vocab.txt").read_text().replace("##a", "##A")
    (tmp_path / "m" / "vocab.txt").write_text(text)
    assert not load_tokenizer(tmp_path / "m").lowercase


def test_several_checkpoints_and_none(tf1, tmp_path):
    shutil.copytree(tf1[0], tmp_path / "m")
    for end in (".index", ".data-00000-of-00001"):
        shutil.copy(tmp_path / "m" / f"bert_model.ckpt{end}", tmp_path / "m" / f"model.ckpt-9{end}")
    with pytest.raises(FileNotFoundError, match=r"2 checkpoints in it \(bert_model.ckpt.index, mo"):
        load_model(tmp_path / "m")
    load_model(tmp_path / "m" / "model.ckpt-9")
    for index in (tmp_path / "m").glob("*.index"):
        index.unlink()
    with pytest.raises(FileNotFoundError, match="no checkpoint in it"):
        load_model(tmp_path / "m")


def test_other_variables(tiny, tmp_path):
    """A variable of the encoder that no rule names is an error, one of a head only with heads."""
    model = tiny.make_model(config=_config(tiny))
    tensors = huggingface.write_weights(model.encoder, {})
    for extra, loads in (("bert/adapter/kernel", False), ("loss/output_weights", True)):
        folder = tmp_path / extra.replace("/", "_")
        folder.mkdir()
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            for name, value in tensors.items():
                theirs, transposed = _google_name(f"bert.{name}")
                tf.compat.v1.get_variable(theirs, initializer=value.T if transposed else value)
            tf.compat.v1.get_variable(extra, initializer=np.float32(1))
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver().save(session, str(folder / "bert_model.ckpt"))
        _write_config(folder, model.encoder.config)
        with pytest.raises(ValueError, match=extra.replace("/", ".")):
            load_model(folder)
        if loads:
            load_encoder(folder)


def _garden_name(name, num_layers, *, old):
    """Hugging Face's name as an object-graph key of the Model Garden, and the shape there."""
    tables = ("word", "position", "token_type")
    for index, table in enumerate(tables):
        if name == f"embeddings.{table}_embeddings.weight":
            return f"encoder/layer_with_weights-{index}/embeddings", None
    norm = {"weight": "gamma", "bias": "beta"}
    kind = name.rpartition(".")[2]
    if name.startswith("embeddings.LayerNorm"):
        return f"encoder/layer_with_weights-3/{norm[kind]}", None
    dense = {"weight": "kernel", "bias": "bias"}
    if name.startswith("pooler"):
        root = "next_sentence.pooler_dense" if old else f"layer_with_weights-{num_layers + 4}"
        return (root if old else f"encoder/{root}") + f"/{dense[kind]}", "T"
    _, _, layer, rest = name.split(".", 3)
    root = f"encoder/layer_with_weights-{int(layer) + 4}"
    for part in ("query", "key", "value"):
        if f"self.{part}" in rest:
            return f"{root}/_attention_layer/_{part}_dense/{dense[kind]}", "heads"
    place = "_attention_output_dense" if old else "_attention_layer/_output_dense"
    places = {
        "attention.output.dense": (place, dense, "output"),
        "attention.output.LayerNorm": ("_attention_layer_norm", norm, None),
        "intermediate.dense": ("_intermediate_dense", dense, "T"),
        "output.dense": ("_output_dense", dense, "T"),
        "output.LayerNorm": ("_output_layer_norm", norm, None),
    }
    place, names, how = places[rest.rpartition(".")[0]]
    return f"{root}/{place}/{names[kind]}", how


def _garden_value(value, how, heads):
    if how is None:
        return value
    if value.ndim == 1:
        return value.reshape(heads, -1) if how == "heads" else value
    matrix, width = value.T, value.shape[0] // heads
    if how == "heads":
        return matrix.reshape(-1, heads, width)
    return matrix.reshape(heads, width, -1) if how == "output" else matrix


@pytest.mark.parametrize("old", [False, True])
def test_model_garden(tiny, tmp_path, caplog, old):
    model = tiny.make_model(config=_config(tiny))
    root = tf.Module()
    for name, value in huggingface.write_weights(model.encoder, {}).items():
        path, how = _garden_name(name, 2, old=old)
        *groups, last = path.split("/")
        node = root
        for group in groups:
            if not hasattr(node, group):
                setattr(node, group, tf.Module())
            node = getattr(node, group)
        setattr(node, last, tf.Variable(_garden_value(value, how, heads=2)))
    root.masked_lm = tf.Module()
    root.masked_lm.output_bias = tf.Variable([1.0])
    parts = {name: value for name, value in vars(root).items() if isinstance(value, tf.Module)}
    tf.train.Checkpoint(**parts).write(str(tmp_path / "bert_model.ckpt"))
    _write_config(tmp_path, model.encoder.config)
    loaded = load_model(tmp_path)
    assert tiny.weight_values(loaded) == tiny.weight_values(model)
    assert "left out: heads of the Model Garden: masked_lm" in caplog.text


def test_no_config_and_no_data(tf1, tmp_path):
    shutil.copytree(tf1[0], tmp_path / "m")
    (tmp_path / "m" / "bert_config.json").unlink()
    with pytest.raises(FileNotFoundError, match="no bert_config.json or alb.* Copy it beside b"):
        load_model(tmp_path / "m" / "bert_model.ckpt")
    (tmp_path / "m" / "bert_model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(FileNotFoundError, match=r"data-\*: no such files"):
        TensorFlowCheckpoint(tmp_path / "m" / "bert_model.ckpt")
    with pytest.raises(FileNotFoundError, match="index: no such file"):
        TensorFlowCheckpoint(tmp_path / "m" / "other.ckpt")


def test_integers_are_no_weights(tf1):
    with (
        TensorFlowCheckpoint(tf1[0] / "bert_model.ckpt") as file,
        pytest.raises(ValueError, match="'global_step' must be of float16.*Found: int64"),
    ):
        file.read("global_step")


def test_mutated_files(tf1, tmp_path):
    """TensorFlow has checksums for the index and for each tensor."""
    with TensorFlowCheckpoint(tf1[0] / "bert_model.ckpt") as file:
        names = sorted(name for name in file.names if name != "global_step")
        arrays = {name: file.read(name) for name in names}
    shutil.copytree(tf1[0], tmp_path / "m")
    generator, refused = np.random.default_rng(0), 0
    for index in range(40):
        end = (".index", ".data-00000-of-00001")[index % 2]
        path = tmp_path / "m" / f"bert_model.ckpt{end}"
        original = path.read_bytes()
        content = bytearray(original)
        if index % 8 < 2:
            del content[generator.integers(len(content)) :]
        else:
            content[generator.integers(len(content))] ^= 1 << generator.integers(8)
        path.write_bytes(content)
        try:
            with TensorFlowCheckpoint(tmp_path / "m" / "bert_model.ckpt") as file:
                same = all(np.array_equal(file.read(name), arrays[name]) for name in names)
            assert same, index
        except ValueError:
            refused += 1
        path.write_bytes(original)
    assert refused > 30
