"""Exported models: every signature, loaded by TensorFlow's own loader, against the Keras model."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import keras_bert_suite as kbs
from keras_bert_suite.checkpoints.model_directory import load_tokenizer
from keras_bert_suite.serving import artifact_check, saved_model, warmup
from keras_bert_suite.serving.server import warmup_replay
from keras_bert_suite.serving.server.servable import Servable

TEXTS = ["The quick fox jumps.", "", "it rains over " * 30, "lazy dog"]


@pytest.fixture(scope="module")
def models(tiny_models, tmp_path_factory):
    """The three tiny model directories by name."""
    root = tmp_path_factory.mktemp("models")
    return {
        "single": tiny_models.write_classifier(root / "single"),
        "pair": tiny_models.write_pair_classifier(root / "pair"),
        "pretrained": tiny_models.write_pretrained(root / "pretrained"),
    }


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """Version directories by name, moved after they were written."""
    written, moved = tmp_path_factory.mktemp("written"), tmp_path_factory.mktemp("moved")
    found = {}
    for name, directory in models.items():
        result = saved_model.export_model(directory, written / name)
        assert result.path == written / name / "1"
        assert result.difference <= 1e-5
        found[name] = moved / name
        result.path.rename(found[name])
    shutil.rmtree(written)
    return found


def keras_logits(directory, *texts, max_length):
    """What the model directory itself says of texts: (batch, logits or encoder outputs)."""
    model, tokenizer = kbs.load_model(directory), load_tokenizer(directory)
    batch = tokenizer(*map(list, texts), max_length=max_length)
    return batch, {
        **{name: np.asarray(value) for name, value in model.encoder(batch).items()},
        **{name: np.asarray(value) for name, value in model(batch).items()},
    }


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def example(**features):
    lists = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
        for name, text in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString()


def request(signature, **inputs):
    # As objects, for NumPy's own strings lose zero bytes at the end.
    arrays = {
        name: np.asarray(value, object if isinstance(value, list | str) else None)
        for name, value in inputs.items()
    }
    return {
        "signature": signature,
        "inputs": {
            name: {
                "dtype": "string" if array.dtype == object else array.dtype.name,
                "shape": list(array.shape),
                "data": array.ravel().tolist(),
            }
            for name, array in arrays.items()
        },
    }


def value(answer, name):
    output = answer["outputs"][name]
    return np.array(output["data"]).reshape(output["shape"])


def test_the_classifier_outside_python(exported, models, runner, tiny_models):
    length = tiny_models.SEQUENCE_LENGTH
    batch, outputs = keras_logits(models["single"], TEXTS, max_length=length)
    scores = softmax(outputs["label_logits"])
    labels = [("no", "yes", "maybe")[i] for i in scores.argmax(-1)]
    serialized = [example(text=text).decode("utf-8", "surrogateescape") for text in TEXTS]
    answers = runner(
        exported["single"],
        [
            request("serving_default", text=TEXTS),
            request("tokens", **batch),
            request("classify", inputs=serialized),
            *(request("serving_default", text=[text]) for text in TEXTS),
        ],
    )
    by_text, by_tokens, by_example, *alone = answers
    for answer in (by_text, by_tokens):
        np.testing.assert_allclose(value(answer, "scores"), scores, atol=1e-5)
        assert value(answer, "label").tolist() == labels
        assert value(answer, "label_id").tolist() == scores.argmax(-1).tolist()
    np.testing.assert_allclose(
        value(by_tokens, "label_logits"), outputs["label_logits"], atol=1e-5, rtol=1e-5
    )
    np.testing.assert_allclose(value(by_example, "scores"), scores, atol=1e-5)
    assert value(by_example, "classes").tolist() == [["no", "yes", "maybe"]] * len(TEXTS)
    # A row's answer is the same alone and in a batch with longer rows.
    np.testing.assert_allclose([value(one, "scores")[0] for one in alone], scores, atol=1e-5)
    assert len(set(map(tuple, scores.round(3)))) == len(TEXTS), "the texts must differ"


def test_the_pair_classifier_outside_python(exported, models, runner, tiny_models):
    others = TEXTS[::-1]
    length = tiny_models.SEQUENCE_LENGTH
    _, outputs = keras_logits(models["pair"], TEXTS, others, max_length=length)
    (answer,) = runner(exported["pair"], [request("serving_default", text_a=TEXTS, text_b=others)])
    np.testing.assert_allclose(value(answer, "scores"), softmax(outputs["label_logits"]), atol=1e-5)


def test_the_pretrained_model_outside_python(exported, models, runner):
    batch, outputs = keras_logits(models["pretrained"], TEXTS, max_length=24)
    positions = np.array([[0, 1]] * len(TEXTS), np.int32)
    by_text, by_tokens, masked = runner(
        exported["pretrained"],
        [
            request("serving_default", text=TEXTS),
            request("tokens", **batch),
            request("masked_lm", **batch, prediction_positions=positions),
        ],
    )
    sequence, mask = outputs["sequence_output"], batch["padding_mask"][..., None]
    mean = (sequence * mask).sum(1) / mask.sum(1)
    for answer in (by_text, by_tokens):
        np.testing.assert_allclose(
            value(answer, "pooled_output"), outputs["pooled_output"], atol=1e-5
        )
        np.testing.assert_allclose(value(answer, "mean_output"), mean, atol=1e-5)
    for name, wanted in (("sequence_output", sequence), ("nsp_logits", outputs["nsp_logits"])):
        np.testing.assert_allclose(value(by_tokens, name), wanted, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(
        value(masked, "mlm_logits"), outputs["mlm_logits"][:, :2], atol=1e-5, rtol=1e-5
    )


def test_bad_inputs_get_an_error_or_an_empty_answer_and_the_process_lives(exported, runner):
    ids = np.array([[2, 5, 3]], np.int32)
    good = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids * 0 + 1}
    long = {name: np.tile(array, [1, 9]) for name, array in good.items()}
    bad = {
        "must be in [0, 18)": [good | {"token_ids": ids + 100}, good | {"token_ids": -ids}],
        "must be in [0, 2)": [good | {"segment_ids": ids}, good | {"padding_mask": ids}],
        "at most 24 tokens": [long],
        "at least 1 token": [{name: array[:, :0] for name, array in good.items()}],
        "must have the same shape": [good | {"segment_ids": ids[:, :2] * 0}],
    }
    requests = [
        request("serving_default", text="a scalar"),
        request("serving_default", text=[["rank", "two"]]),
        request("tokens", **{name: array[0] for name, array in good.items()}),
        request("classify", inputs=["no tf.Example"]),
        request("classify", inputs=[example(other="x").decode()]),
        request("serving_default", text=[]),
        *(request("tokens", **inputs) for group in bad.values() for inputs in group),
        request("serving_default", text=["the end"]),
    ]
    answers = runner(exported["single"], requests)
    assert all("error" in answer for answer in answers[:5])
    assert value(answers[5], "scores").shape[0] == 0
    messages = [message for message, group in bad.items() for _ in group]
    for message, answer in zip(messages, answers[6:-1], strict=True):
        assert message in answer["error"][1]
    assert value(answers[-1], "scores").shape == (1, 3)


def test_each_weight_is_stored_once_and_the_graph_holds_one_core(exported, models):
    path = exported["single"]
    stored = [
        shape
        for name, shape in tf.train.list_variables(str(path / "variables" / "variables"))
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    ]
    weights = kbs.load_model(models["single"]).weights
    assert sum(int(np.prod(s)) for s in stored) == sum(int(np.prod(w.shape)) for w in weights)
    graph = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    functions = graph.meta_graphs[0].graph_def.library.function
    assert sum("inference_core" in function.signature.name for function in functions) == 1
    ops = {node.op for function in functions for node in function.node_def}
    assert not ops & {"PyFunc", "EagerPyFunc", "XlaLaunch", "PyFuncStateless"}
    assert not any("_XlaMustCompile" in f.attr and f.attr["_XlaMustCompile"].b for f in functions)


def hashes(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file()
    }


def test_the_same_model_gives_the_same_bytes(exported, models, tmp_path, monkeypatch):
    """TensorFlow's counters have gone on since the first export, and it draws a UUID each time."""
    monkeypatch.setattr(artifact_check, "check", lambda *args, **kwargs: 0.0)
    again = saved_model.export_model(models["single"], tmp_path)
    assert hashes(again.path) == hashes(exported["single"])
    assert {"saved_model.pb", "fingerprint.pb", "serving.json", warmup.FILE} < set(
        hashes(again.path)
    )


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(exported, models, tmp_path, repository):
    flags = [f"--model_dir={models['pretrained']}", f"--export_dir={tmp_path}"]
    subprocess.run([sys.executable, "bin/export_model.py", *flags], cwd=repository, check=True)
    assert hashes(tmp_path / "1") == hashes(exported["pretrained"])


def test_method_names_and_the_description(exported):
    signatures = Servable(exported["single"], name="x", version=1).signature_defs
    assert signatures["classify"].method_name == "tensorflow/serving/classify"
    assert signatures["serving_default"].method_name == "tensorflow/serving/predict"
    description = json.loads((exported["single"] / "serving.json").read_text())
    assert description["task"]["labels"] == ["no", "yes", "maybe"]
    assert description["max_length"] == 16
    assert description["signatures"]["serving_default"]["inputs"]["text"]["shape"] == [None]
    assert set(description["signatures"]["tokens"]["outputs"]) == {
        "label",
        "label_id",
        "label_logits",
        "scores",
    }


@pytest.mark.slow
def test_warm_up_records_run_every_signature(exported):
    for name, path in exported.items():
        servable = Servable(path, name=name, version=1)
        assert warmup_replay.replay(servable) == len(servable.signatures)


def test_a_warm_up_record_that_fails_fails_the_load(exported, tmp_path):
    copy = shutil.copytree(exported["single"], tmp_path / "1")
    warmup.write(copy, [("serving_default", {"text": np.array(["a"]).reshape(1, 1)})])
    with pytest.raises(Exception, match="compatible with expected shape"):
        warmup_replay.replay(Servable(copy, name="x", version=1))
    with pytest.raises(ValueError, match="at most 1000"):
        warmup.write(copy, [("serving_default", {})] * 1001)


@pytest.mark.slow
def test_bfloat16_is_half_the_size_and_answers_in_float32(models, exported, tmp_path):
    result = saved_model.export_model(models["single"], tmp_path, precision="bfloat16")
    servable = Servable(result.path, name="x", version=1)
    signature = servable.signatures["serving_default"]
    assert signature.outputs["scores"].dtype == tf.float32
    dtypes = {
        np.dtype(dtype)
        for name, dtype in tf.train.load_checkpoint(str(result.path / "variables" / "variables"))
        .get_variable_to_dtype_map()
        .items()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
        for dtype in [dtype.as_numpy_dtype]
    }
    assert dtypes == {np.dtype(tf.bfloat16.as_numpy_dtype)}


@pytest.mark.slow
def test_a_model_that_names_no_task_serves_its_head(models, tmp_path, monkeypatch):
    monkeypatch.setattr(artifact_check, "check", lambda *args, **kwargs: 0.0)
    copy = shutil.copytree(models["single"], tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    del config["keras_bert_suite"]
    (copy / "config.json").write_text(json.dumps(config))
    found = saved_model.export_model(copy, tmp_path / "out")
    assert found.signatures == ("serving_default", "tokens", "classify")
    pairs = {"text_a_column": "text_a", "text_b_column": "text_b"}
    found = saved_model.export_model(copy, tmp_path / "out", options=pairs)
    inputs = Servable(found.path, name="x", version=1).signatures["serving_default"].inputs
    assert set(inputs) == {"text_a", "text_b"}


def test_versions_count_on_and_never_change(models, tmp_path, monkeypatch):
    monkeypatch.setattr(artifact_check, "check", lambda *args, **kwargs: 0.0)
    (tmp_path / "00000004").mkdir()
    (tmp_path / "notes").mkdir()
    assert saved_model.export_model(models["single"], tmp_path).version == 5
    with pytest.raises(ValueError, match=r"5 exists already.*to write 6"):
        saved_model.export_model(models["single"], tmp_path, version=5)
    with pytest.raises(ValueError, match="must not be negative"):
        saved_model.export_model(models["single"], tmp_path, version=-1)
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16"):
        saved_model.export_model(models["single"], tmp_path, precision="int4")


def test_an_artifact_that_differs_is_not_published(models, exported, tmp_path, monkeypatch):
    requests = [("serving_default", {"text": np.array([b"the fox"], object)})]
    servable = Servable(exported["single"], name="x", version=1)
    signature = servable.signatures["serving_default"]
    (_, inputs) = requests[0]
    expected = servable.run(signature, inputs, list(signature.outputs))
    expected["scores"] = expected["scores"] + np.float32(1e-3)

    def check(folder, **kwargs):
        true_check(folder, requests=requests, expected=[expected], tolerance=kwargs["tolerance"])

    true_check = artifact_check.check
    monkeypatch.setattr(artifact_check, "check", check)
    with pytest.raises(ValueError, match="signature serving_default, output scores, by 0.00"):
        saved_model.export_model(models["single"], tmp_path / "base")
    assert list((tmp_path / "base").iterdir()) == []


def test_an_artifact_that_does_not_load_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not run in a process of its own"):
        artifact_check.check(tmp_path, requests=[], expected=[], tolerance=0.0)


def test_faulty_model_directories(models, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such directory"):
        saved_model.export_model(tmp_path / "nowhere", tmp_path / "out")
    copy = shutil.copytree(models["single"], tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    faults = {"sequence_length must be in 4..24": {"sequence_length": 99}}
    for message, change in faults.items():
        faulty = config | {"keras_bert_suite": config["keras_bert_suite"] | change}
        (copy / "config.json").write_text(json.dumps(faulty))
        with pytest.raises(ValueError, match=message):
            saved_model.export_model(copy, tmp_path / "out")
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors"):
        saved_model.export_model(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()
