import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.models.heads.span_question import SpanQuestionHead
from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead

_CONFIG = EncoderConfig(
    vocab_size=40,
    hidden_size=16,
    num_layers=2,
    num_heads=2,
    intermediate_size=32,
    max_positions=12,
    hidden_dropout=0.0,
    attention_dropout=0.0,
)


def _model(*, seed=0, heads="pretraining", dtype=None):
    keras.utils.set_random_seed(seed)
    chosen = [
        MaskedLMHead.for_encoder(_CONFIG, dtype=dtype),
        NextSentenceHead.for_encoder(_CONFIG, dtype=dtype),
    ]
    if heads == "classification":
        chosen = [ClassificationHead.for_encoder(_CONFIG, labels=["a", "b"], dtype=dtype)]
    return BertModel(Encoder(_CONFIG, dtype=dtype), chosen, dtype=dtype)


def _batch(rows=8, length=10, seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(4, length + 1, rows)
    mask = (np.arange(length)[None] < lengths[:, None]).astype("int32")
    return {
        "token_ids": random.integers(1, 40, (rows, length)).astype("int32") * mask,
        "segment_ids": random.integers(0, 2, (rows, length)).astype("int32"),
        "padding_mask": mask,
        "prediction_positions": random.integers(0, 4, (rows, 3)).astype("int32"),
        "prediction_ids": random.integers(1, 40, (rows, 3)).astype("int32"),
        # unequal numbers of predictions in the two halves of the batch
        "prediction_weights": (
            random.random((rows, 3)) < np.linspace(0.1, 1, rows)[:, None]
        ).astype("float32"),
        "next_sentence_labels": random.integers(0, 2, rows).astype("int32"),
    }


def _fit(model, batches, **options):
    model.compile(keras.optimizers.AdamW(1e-2, global_clipnorm=0.5), **options)
    for batch in batches:
        model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    return model.get_weights()


def test_logits_of_all_heads_have_names():
    outputs = _model()(_batch())
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "mlm_logits": (8, 3, 40),
        "nsp_logits": (8, 2),
    }


def test_two_heads_of_a_kind_are_refused():
    heads = [NextSentenceHead.for_encoder(_CONFIG), NextSentenceHead.for_encoder(_CONFIG)]
    with pytest.raises(
        ValueError, match=r"`heads` must be of different kinds. Received: \['nsp', 'nsp'\]"
    ):
        BertModel(Encoder(_CONFIG), heads)


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"micro_batches": 4}, 2e-5),
        pytest.param({"jit_compile": True}, 2e-4, marks=pytest.mark.slow),
        pytest.param({"jit_compile": True, "micro_batches": 2}, 2e-4, marks=pytest.mark.slow),
    ],
)
def test_micro_batches_and_xla_give_the_same_weights(options, tolerance):
    batches = [_batch(seed=seed) for seed in range(3)]
    plain = _fit(_model(), batches)
    other = _fit(_model(), batches, **options)
    for ours, theirs in zip(plain, other, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance)


def test_loss_is_the_sum_of_the_terms_means():
    model, batch = _model(), _batch()
    model.compile("sgd", term_weights={"nsp": 0.5})
    results = model.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True)
    terms = model.loss_terms(model(batch), batch)
    mlm, nsp = (float(total / weight) for total, weight in (terms["mlm"], terms["nsp"]))
    assert results["mlm_loss"] == pytest.approx(mlm, rel=1e-5)
    assert results["loss"] == pytest.approx(mlm + 0.5 * nsp, rel=1e-5)


def test_means_over_batches_weigh_targets_not_batches():
    model = _model()
    model.compile("sgd")
    batches = [_batch(rows=2, seed=1), _batch(rows=6, seed=2)]
    terms = [model.loss_terms(model(batch), batch)["mlm"] for batch in batches]
    expected = float(sum(t[0] for t in terms) / sum(t[1] for t in terms))
    for batch in batches:
        results = model.test_step({key: tf.constant(value) for key, value in batch.items()})
    assert float(results["mlm_loss"]) == pytest.approx(expected, rel=1e-5)


def test_weight_decay_leaves_what_the_loss_does_not_reach():
    model = _model()
    batch = {key: value for key, value in _batch().items() if key != "next_sentence_labels"}
    before = model.encoder.pooler.kernel.numpy()
    model.compile(keras.optimizers.AdamW(1e-2, weight_decay=0.5))
    model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    np.testing.assert_array_equal(model.encoder.pooler.kernel, before)


def test_frozen_layers_stay():
    model = _model()
    model.encoder.embeddings.trainable = False
    before = model.encoder.embeddings.token_embeddings.embeddings.numpy()
    _fit(model, [_batch()])
    np.testing.assert_array_equal(model.encoder.embeddings.token_embeddings.embeddings, before)


@pytest.mark.parametrize(
    "dtype", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def test_mixed_precision_lowers_the_loss(dtype):
    model = _model(dtype=dtype)
    model.compile(keras.optimizers.AdamW(1e-2))
    dataset = tf.data.Dataset.from_tensors(_batch()).repeat(20)
    losses = model.fit(dataset, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0] - 0.3


@pytest.mark.slow
def test_targets_may_come_as_a_tensor_with_weights():
    model = _model(heads="classification")
    batch = _batch()
    features = {key: batch[key] for key in ("token_ids", "segment_ids", "padding_mask")}
    labels = np.arange(8, dtype="int32") % 2
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(features, labels, batch_size=4, epochs=30, verbose=0).history
    assert history["label_accuracy"][-1] == 1.0
    weights = np.array([1.0] * 4 + [0.0] * 4, "float32")
    results = model.evaluate(
        features, 1 - labels, sample_weight=weights, verbose=0, return_dict=True
    )
    assert results["label_accuracy"] == 0.0


@pytest.mark.slow
def test_tags_and_spans_are_learnt_in_a_plain_fit():
    batch = _batch()
    features = {key: batch[key] for key in ("token_ids", "padding_mask")}
    positions = np.arange(8, dtype="int32") % 4
    targets = {
        "tag_ids": batch["token_ids"] % 2,
        "start_positions": positions // 2,
        "end_positions": positions,
    }
    heads = [
        TokenLabelingHead.for_encoder(_CONFIG, labels=["even", "odd"]),
        SpanQuestionHead.for_encoder(_CONFIG),
    ]
    model = BertModel(Encoder(_CONFIG), heads)
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(features, targets, batch_size=8, epochs=40, verbose=0).history
    assert history["tag_accuracy"][-1] > 0.95
    assert history["start_accuracy"][-1] == history["end_accuracy"][-1] == 1.0


def test_one_tensor_of_targets_for_two_heads_is_refused():
    model = _model()
    model.compile("sgd")
    with pytest.raises(ValueError, match="must be a dict with the keys"):
        model.fit({"token_ids": np.ones([2, 3], "int32")}, np.zeros(2), verbose=0)


def test_a_batch_without_targets_is_refused():
    model = _model()
    model.compile("sgd")
    with pytest.raises(
        ValueError,
        match=r"targets of \['mlm', 'nsp'\].*keys \['prediction_ids.*Received: \['token_ids'\]",
    ):
        model.fit(tf.data.Dataset.from_tensors({"token_ids": np.ones([2, 3], "int32")}), verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"term_weights": {"sop": 1.0}},
            r"`term_weights` may name \['mlm', 'nsp'\]. Received: \['sop'\]",
        ),
        ({"loss": "mse"}, "The heads bring their own losses .* Received: loss='mse'"),
        ({"micro_batches": 0}, "`micro_batches` must be a positive integer"),
    ],
)
def test_compile_refuses_what_it_cannot_honour(options, message):
    with pytest.raises(ValueError, match=message):
        _model().compile("sgd", **options)


def test_micro_batches_must_divide_the_batch():
    model = _model()
    model.compile("sgd", micro_batches=3)
    with pytest.raises(ValueError, match="must divide the batch .* micro_batches=3, a batch of 8"):
        model.fit(tf.data.Dataset.from_tensors(_batch(rows=8)), verbose=0)


@pytest.mark.slow
def test_a_saved_model_trains_on_as_the_original_does(tmp_path):
    model = _model()
    _fit(model, [_batch(seed=1)], term_weights={"nsp": 2.0}, micro_batches=2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert (again.term_weights, again.micro_batches) == ({"mlm": 1.0, "nsp": 2.0}, 2)
    for one in (model, again):
        one.fit(tf.data.Dataset.from_tensors(_batch(seed=2)), verbose=0)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_predict_gives_the_logits():
    model, batch = _model(), _batch()
    predicted = model.predict(batch, batch_size=8, verbose=0)
    np.testing.assert_allclose(predicted["nsp_logits"], model(batch)["nsp_logits"], atol=1e-6)
