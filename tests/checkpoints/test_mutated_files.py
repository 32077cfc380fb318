"""Files of weights with bytes changed, cut off or wiped out, and with tensors under other names.

Whatever is done to a file, reading it ends in ValueError or OSError, or gives the weights that were
written, to the bit. Four layouts have no checksums, and there a changed byte among the numbers can
only be seen where it makes NaN, infinity or a magnitude beyond 1e6: safetensors that another
program wrote, PyTorch's layout before 1.6, transformers' tf_model.h5, and a preset that KerasHub
itself wrote.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import tensorflow as tf
import torch_archives as archives
from safetensors.numpy import save_file

from keras_bert_suite.checkpoints import google_names, huggingface, keras_hub_preset
from keras_bert_suite.checkpoints.foreign_names import expand, to_foreign
from keras_bert_suite.checkpoints.h5_file import write_arrays
from keras_bert_suite.checkpoints.huggingface import CurrentNames
from keras_bert_suite.checkpoints.safetensors_file import write_safetensors
from keras_bert_suite.checkpoints.sources import find_source

_MUTATIONS = 28  # of each layout; nine layouts
_LARGEST = 1e6


def _write_h5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value


def _write_tf_h5(path, tensors):
    """transformers' layout: Hugging Face's names with "/", below two groups."""
    arrays = {}
    for name, value in tensors.items():
        if "LayerNorm" in name:
            name = name.replace("weight", "gamma").replace("bias", "beta")
        elif name.endswith("weight") and "embeddings" not in name:
            name, value = name.replace("weight", "kernel"), value.T
        root = "bert/tf_bert" if name.startswith("bert") else "mlm___cls/tf_bert"
        arrays[f"{root}/{name.replace('.', '/').replace('layer/0', 'layer_._0')}:0"] = value
    _write_h5(path, arrays)


def _keras_hub_arrays(tensors):
    rules = expand(keras_hub_preset.RULES, num_layers=1)
    shapes = {}
    for rule in rules:
        if rule.huggingface in tensors:
            shape = tensors[rule.huggingface].shape
            shape = shape[::-1] if rule.layout.transposed else shape
            if rule.layout.joined is not None:
                i = rule.layout.joined
                shape = (*shape[:i], 2, shape[i] // 2, *shape[i + 1 :])
            shapes[rule.theirs] = shape
    known = {rule.huggingface for rule in rules}
    places = [rule for rule in rules if rule.huggingface in tensors]
    arrays = to_foreign(places, {n: t for n, t in tensors.items() if n in known}, shapes)
    strangers = {f"layers/{n}/vars/0": t for n, t in tensors.items() if n not in known}
    return {**arrays, **strangers}


def _write_own_keras_hub(path, tensors):
    arrays = _keras_hub_arrays(tensors)
    _write_h5(path, {name: np.zeros_like(value) for name, value in arrays.items()})
    write_arrays(path, arrays)


def _write_tf1(path, tensors):
    rules = {
        rule.huggingface: rule for rule in expand(google_names.TF1_RULES["bert"], num_layers=1)
    }
    prefix = path.with_name("bert_model.ckpt")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in tensors.items():
            rule = rules.get(name)
            transposed = rule is not None and rule.layout.transposed
            theirs = rule.theirs if rule else f"bert/{name}"
            tf.compat.v1.get_variable(theirs, initializer=value.T if transposed else value)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(prefix), write_meta_graph=False)


# Layout -> (file that is changed, writer, whether it has checksums).
_LAYOUTS = {
    "ours": ("model.safetensors", write_safetensors, True),
    "safetensors": ("model.safetensors", lambda path, t: save_file(t, path), False),
    "torch": ("pytorch_model.bin", archives.write, True),
    "old torch": ("pytorch_model.bin", lambda p, t: archives.write(p, t, legacy=True), False),
    "tf_model.h5": ("tf_model.h5", _write_tf_h5, False),
    "our KerasHub": ("model.weights.h5", _write_own_keras_hub, True),
    "KerasHub": ("model.weights.h5", lambda p, t: _write_h5(p, _keras_hub_arrays(t)), False),
    "TF1 index": ("bert_model.ckpt.index", _write_tf1, True),
    "TF1 data": ("bert_model.ckpt.data-00000-of-00001", _write_tf1, True),
}


def _write_config(folder, layout, config):
    values = config.to_huggingface()
    name = "config.json"
    if "KerasHub" in layout:
        keys = keras_hub_preset._CONFIG_KEYS.items()
        arguments = {ours: values[theirs] for ours, theirs in keys}
        values = {"registered_name": "keras_hub>BertBackbone", "config": arguments}
    elif "TF1" in layout:
        name, values["hidden_act"] = "bert_config.json", "gelu"
    (folder / name).write_text(json.dumps(values))


@pytest.fixture(scope="module")
def model(tiny):
    """What is stored; and what it is read into, over and over."""
    return tiny.make_model("mlm", config=tiny.CONFIG.replace(activation="gelu_tanh"))


@pytest.fixture(scope="module")
def tensors(model):
    return huggingface.write_weights(model.encoder, model.heads)


def _without_head(layout, tensors):
    kept = {name: t for name, t in tensors.items() if name.startswith("bert.")}
    return kept if "KerasHub" in layout else tensors


def _read(folder, model, tensors):
    """Fills the model from the files; returns the weights."""
    found = find_source(folder)
    heads = model.heads if any(n.startswith("cls.") for n in tensors) else {}
    with found.tensors() as file:
        source = CurrentNames(file)
        huggingface.check_sizes(model.encoder.config.to_huggingface(), 1, source)
        assert huggingface.read_weights(source, model.encoder, heads)
    read = huggingface.write_weights(model.encoder, heads)
    return read if heads else {f"bert.{name}": value for name, value in read.items()}


def _mutated(content, generator, index):
    """A flipped bit (most), a cut, bytes wiped out, bytes inserted."""
    content = bytearray(content)
    # The descriptions are short and at one end; half of the changes go there.
    ends = (0, max(len(content) - 1500, 0)) if index % 2 else (0,)
    start = int(generator.choice(ends)) if index % 4 < 2 else 0
    place = start + int(generator.integers(min(1500, len(content) - start)))
    if index % 4 >= 2:
        place = int(generator.integers(len(content)))
    match index % 9:
        case 0:
            del content[place:]
        case 1:
            content[place : place + 16] = bytes(len(content[place : place + 16]))
        case 2:
            content[place:place] = b"\x41"
        case _:
            content[place] ^= 1 << int(generator.integers(8))
    return bytes(content)


def _assert_sound(read, tensors, *, checksums):
    """The same to the bit; where nothing could tell, at least weights that can be."""
    assert set(read) == set(tensors)
    for name, value in tensors.items():
        if checksums:
            assert read[name].tobytes() == value.tobytes(), name
        assert read[name].shape == value.shape
        assert np.all(np.abs(read[name]) <= _LARGEST), name


@pytest.mark.parametrize("layout", _LAYOUTS)
def test_changed_bytes(model, tensors, tmp_path, layout):
    name, write, checksums = _LAYOUTS[layout]
    tensors = _without_head(layout, tensors)
    write(tmp_path / name, tensors)
    _write_config(tmp_path, layout, model.encoder.config)
    read = _read(tmp_path, model, tensors)
    assert {n: t.tobytes() for n, t in read.items()} == {n: t.tobytes() for n, t in tensors.items()}
    original, refused = (tmp_path / name).read_bytes(), 0
    generator = np.random.default_rng(0)
    for index in range(_MUTATIONS):
        content = _mutated(original, generator, index)
        (tmp_path / name).write_bytes(content)
        try:
            read = _read(tmp_path, model, tensors)
        except (ValueError, OSError):
            refused += 1
        else:
            _assert_sound(read, tensors, checksums=checksums)
    assert refused >= _MUTATIONS / 4


@pytest.mark.parametrize("layout", [name for name in _LAYOUTS if name != "TF1 data"])
def test_a_tensor_under_another_name(model, tensors, tmp_path, layout):
    file, write, _ = _LAYOUTS[layout]
    tensors = _without_head(layout, tensors)
    for name in ("bert.embeddings.LayerNorm.weight", "bert.encoder.layer.0.output.dense.bias"):
        folder = tmp_path / name
        folder.mkdir()
        write(folder / file, {n + "x" * (n == name): value for n, value in tensors.items()})
        _write_config(folder, layout, model.encoder.config)
        with pytest.raises(ValueError, match="Missing: .*Not in the model: "):
            _read(folder, model, tensors)
