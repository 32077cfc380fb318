"""Training is that of PyTorch: the same losses and weights, step by step, and the same dropout."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.span_question import SpanQuestionHead
from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead
from keras_bert_suite.training.optimizers import make_optimizer

pytestmark = pytest.mark.interop

_CONFIG = EncoderConfig(
    vocab_size=50,
    hidden_size=16,
    num_layers=2,
    num_heads=4,
    intermediate_size=32,
    max_positions=12,
    hidden_dropout=0.0,
    attention_dropout=0.0,
)
_LABELS = ["a", "b", "c"]
_HEADS = {
    "BertForSequenceClassification": lambda c: ClassificationHead.for_encoder(c, labels=_LABELS),
    "BertForTokenClassification": lambda c: TokenLabelingHead.for_encoder(c, labels=_LABELS),
    "BertForQuestionAnswering": SpanQuestionHead.for_encoder,
}
_POOLER = ["encoder/pooler/kernel", "encoder/pooler/bias"]
# Besides the keys' bias: what adds the same number to all logits of a softmax.
_WITHOUT_GRADIENT = dict.fromkeys(_HEADS, ()) | {
    "BertForQuestionAnswering": (
        "encoder/block_1/feed_forward_norm/beta",
        "question/classifier/bias",
    )
}
_STEPS, _BATCH, _LENGTH = 40, 6, 9
_OPTIONS = {
    "learning_rate": 1e-3,
    "num_steps": _STEPS,
    "warmup_steps": 4,
    "weight_decay": 0.1,
    "clip_norm": 0.5,
}


def _saved_model(class_name, config, folder):
    """A model with larger weights than fresh ones, so that every layer matters."""
    model = BertModel(Encoder(config), [_HEADS[class_name](config)])
    generator = np.random.default_rng(1)
    for weight in model.weights:
        if "seed" not in weight.path:
            scale = 1.0 if "gamma" in weight.path else 0.0
            weight.assign(scale + generator.normal(0, 0.2, weight.shape).astype(np.float32))
    save_model(model, folder)
    return model


def _batches(class_name):
    """Rows of 3 to 9 tokens; full ones for questions, where transformers scores padding too."""
    generator = np.random.default_rng(7)
    shape = [_STEPS, _BATCH, _LENGTH]
    shortest = _LENGTH if class_name == "BertForQuestionAnswering" else 3
    lengths = generator.integers(shortest, _LENGTH + 1, shape[:2])
    mask = (np.arange(_LENGTH) < lengths[..., None]).astype(np.int32)
    batch = {
        "token_ids": generator.integers(1, 50, shape, dtype=np.int32) * mask,
        "segment_ids": generator.integers(0, 2, shape, dtype=np.int32) * mask,
        "padding_mask": mask,
    }
    if class_name == "BertForSequenceClassification":
        return batch | {"label_ids": generator.integers(0, 3, shape[:2], dtype=np.int32)}
    if class_name == "BertForTokenClassification":
        return batch | {
            "tag_ids": generator.integers(0, 3, shape, dtype=np.int32),
            "tag_weights": generator.integers(0, 2, shape).astype(np.int32) * mask,
        }
    ends = generator.integers(0, _LENGTH, [2, *shape[:2]], dtype=np.int32)
    return batch | {"start_positions": ends.min(0), "end_positions": ends.max(0)}


def _trained(model, batches):
    """Trains as fine-tuning does; returns the loss of every step."""
    model.compile(optimizer=make_optimizer(**_OPTIONS))
    model.optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step(batch):
        for metric in model.metrics:
            metric.reset_state()
        return model.train_step(batch)["loss"]

    each = tf.data.Dataset.from_tensor_slices(batches)
    return np.array([step(batch).numpy() for batch in each])


@pytest.mark.parametrize("class_name", [*_HEADS])
def test_every_step_is_that_of_torch(transformers_run, tmp_path, class_name):
    model = _saved_model(class_name, _CONFIG, tmp_path / "model")
    batches = _batches(class_name)
    np.savez(tmp_path / "batches.npz", **batches)
    (tmp_path / "options.json").write_text(json.dumps(_OPTIONS), encoding="utf-8")
    files = ["model", "batches.npz", "options.json", "again", "losses.npy"]
    directory, *others = (tmp_path / name for name in files)
    transformers_run("train", directory, class_name, *others)
    before = {weight.path: weight.numpy() for weight in model.trainable_variables}
    losses, expected = _trained(model, batches), np.load(tmp_path / "losses.npy")
    # Measured: 3e-7. With epsilon beside Adam's uncorrected root 5e-4, with a bias correction that
    # is one step late 9e-3.
    np.testing.assert_allclose(losses, expected, atol=5e-6)
    ours = {weight.path: weight.numpy() for weight in model.trainable_variables}
    theirs = {w.path: w.numpy() for w in load_model(tmp_path / "again").trainable_variables}
    # Where the pooler is not read, transformers has none.
    assert [path for path in ours if path not in theirs] in ([], _POOLER)
    for path, weight in theirs.items():
        # Adam makes a step of the rounding errors of a gradient that is 0: up to 4e-5 measured.
        rounding = path in _WITHOUT_GRADIENT[class_name] or path.endswith("query_key_value/bias")
        atol = 2e-4 if rounding else 5e-6  # measured: 4e-7
        np.testing.assert_allclose(ours[path], weight, atol=atol, err_msg=path)
        assert rounding or np.abs(weight - before[path]).max() > 4e-3, path


@pytest.mark.parametrize("place", ["hidden_dropout", "attention_dropout", "classifier_dropout"])
@pytest.mark.parametrize(
    "class_name", ["BertForSequenceClassification", "BertForTokenClassification"]
)
def test_dropout_shakes_the_logits_as_in_torch(transformers_run, tmp_path, class_name, place):
    """The same row many times: each logit's mean and deviation over the masks are equal."""
    rate, rows = 0.3, 8192
    config = _CONFIG if place == "classifier_dropout" else _CONFIG.replace(**{place: rate})
    folder = tmp_path / "model"
    _saved_model(class_name, config, folder)
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    values["classifier_dropout"] = rate if place == "classifier_dropout" else 0.0
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    ids = np.random.default_rng(3).integers(1, 50, [1, 7]).repeat(rows, 0)
    np.savez(tmp_path / "inputs.npz", input_ids=ids)
    transformers_run("sample", folder, class_name, tmp_path / "inputs.npz", tmp_path / "logits.npy")
    theirs = np.load(tmp_path / "logits.npy")
    model = load_model(folder)
    call = tf.function(lambda ids: model({"token_ids": ids}, training=True))
    (ours,) = call(tf.constant(ids, tf.int32)).values()
    ours = ours.numpy()
    deviation = theirs.std(0)
    assert deviation.min() > 0.01
    # Of 8192 rows the means' difference deviates by sqrt(2 / 8192) = 0.016 deviations, the
    # deviations' by 0.011 (normal logits) of themselves: 5 of each. Dropout twice would make 0.4.
    assert np.abs((ours.mean(0) - theirs.mean(0)) / deviation).max() < 0.08
    assert np.abs(ours.std(0) / deviation - 1).max() < 0.06
