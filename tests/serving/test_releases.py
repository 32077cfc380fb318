"""Which releases of TF Serving can load a SavedModel."""

from __future__ import annotations

import dataclasses

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_bert_suite.serving import releases


def write(path, *ops, must_compile=(), min_consumer=0, attributes=()):
    """A SavedModel of nothing but these ops, half of them in a function."""
    saved_model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta_graph = saved_model.meta_graphs.add()
    meta_graph.meta_info_def.tensorflow_version = "2.21.0"
    graph = meta_graph.graph_def
    graph.versions.producer, graph.versions.min_consumer = 2400, min_consumer
    function = graph.library.function.add()
    function.signature.name = "core_1"
    function.attr["_XlaMustCompile"].b = False
    for index, op in enumerate(ops):
        nodes = graph.node if index % 2 else function.node_def
        node = nodes.add(name=f"node{index}", op=op)
        for name in attributes:
            node.attr[name].i = 1
    graph.node.add(name="call", op="core_1")
    for name in must_compile:
        graph.library.function.add().signature.name = name
        graph.library.function[-1].attr["_XlaMustCompile"].b = True
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    return path


def verdicts(path):
    (needs,) = releases.check(path)
    return {release.name: needs.obstacles(release) for release in releases.RELEASES}


def test_the_ops_that_every_release_has(tmp_path):
    path = write(tmp_path / "1", "Add", "NormalizeUTF8", "FastWordpieceTokenizeWithOffsets")
    (needs,) = releases.check(path)
    assert needs.core_ops == ("Add",)
    assert needs.text_ops == ("FastWordpieceTokenizeWithOffsets", "NormalizeUTF8")
    assert needs.foreign_ops == needs.compiled_functions == ()
    assert needs.loadable
    assert needs.report() == (
        f"{path}: written by TensorFlow 2.21.0, graph version 2400, for readers from 0 on\n"
        "1 ops of TensorFlow, 2 of tf.text:\n"
        "  FastWordpieceTokenizeWithOffsets  in tf.text 2.12.1 yes, 2.20.0 yes\n"
        "  NormalizeUTF8                     in tf.text 2.12.1 yes, 2.20.0 yes\n"
        "TF Serving 2.19.1, which bundles tf.text 2.12.1, can load it\n"
        "TF Serving 2.20.0, which bundles tf.text 2.20.0, can load it"
    )


def test_an_op_that_came_later(tmp_path):
    path = write(tmp_path / "1", "TFText>RoundRobinTrim")
    assert verdicts(path) == {
        "2.19.1": ["it has no op of tf.text: TFText>RoundRobinTrim"],
        "2.20.0": [],
    }
    report = releases.check(path)[0].report()
    assert "  TFText>RoundRobinTrim  in tf.text 2.12.1 NO, 2.20.0 yes\n" in report
    assert "2.12.1, cannot load it: it has no op of tf.text: TFText>RoundRobinTrim\n" in report


@pytest.mark.parametrize(
    ("options", "obstacle"),
    [
        ({"ops": ["TFText>OfTomorrow"]}, "it has no op of tf.text: TFText>OfTomorrow"),
        ({"ops": ["MyOwnOp"]}, "it has no op of another library: MyOwnOp"),
        ({"ops": ["DecodeJxl"]}, "it has no op: DecodeJxl"),
        ({"ops": ["EagerPyFunc", "Add"]}, "it runs no Python: EagerPyFunc"),
        ({"must_compile": ["fast"]}, "it does not compile by XLA: fast"),
        (
            {"ops": ["TensorListGetItem"], "attributes": ["Tshape"]},
            "it does not know TensorListGetItem.Tshape",
        ),
        (
            {"min_consumer": 2300},
            "it reads graphs of version 2288, which wants a reader of 2300",
        ),
    ],
)
def test_what_no_release_can_load(tmp_path, options, obstacle):
    path = write(tmp_path / "1", *options.pop("ops", []), **options)
    assert verdicts(path)["2.20.0"] == [obstacle]
    assert len(verdicts(path)["2.19.1"]) == 1
    assert not releases.check(path)[0].loadable


def test_our_own_tokenizer_s_ops_are_known(tmp_path):
    """The table against the ops that the installed tf.text registers under its kernels' names."""
    import tensorflow_text  # noqa: F401
    from tensorflow.python.framework import op_def_registry

    for release in releases.RELEASES:
        missing = [op for op in release.text_ops if op_def_registry.get(op) is None]
        assert missing == []
    assert dataclasses.replace(releases.RELEASES[0]).text_ops < releases.RELEASES[1].text_ops


def test_a_base_path_and_what_is_none(tmp_path):
    write(tmp_path / "base" / "2", "Add")
    write(tmp_path / "base" / "10", "NormalizeUTF8")
    checked = releases.check(tmp_path / "base")
    assert [needs.path.name for needs in checked] == ["2", "10"]
    with pytest.raises(ValueError, match="must be a SavedModel .* or have version directories"):
        releases.check(tmp_path)
    (tmp_path / "base" / "2" / "saved_model.pb").write_bytes(b"\xff\xff no proto")
    with pytest.raises(ValueError, match="saved_model.pb is no SavedModel, or damaged"):
        releases.check(tmp_path / "base")
    (tmp_path / "base" / "2" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match="is no SavedModel: it has no graph"):
        releases.check(tmp_path / "base")


def test_a_graph_that_tensorflow_wrote(tmp_path):
    module = tf.Module()
    module.call = tf.function(
        lambda x: {"y": x + 1.0}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")]
    )
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"serving_default": module.call})
    (needs,) = releases.check(tmp_path / "1")
    assert {"AddV2", "Placeholder"} <= set(needs.core_ops)
    assert needs.text_ops == ()
    assert needs.tensorflow == tf.__version__
    assert needs.loadable
