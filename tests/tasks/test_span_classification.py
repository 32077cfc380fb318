"""Span classification: representations by hand, toys are learnt, served and predicted alike."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
import toy_spans

from keras_bert_suite.checkpoints.model_directory import load_model, read_config
from keras_bert_suite.models.heads.span_classification import SpanClassificationHead
from keras_bert_suite.serving.saved_model import export_model
from keras_bert_suite.serving.signatures import Signatures
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.graph.span_answers import best_spans
from keras_bert_suite.tasks.graph.span_features import parsed_candidates
from keras_bert_suite.tasks.span_classification import SpanClassification
from keras_bert_suite.tasks.span_files import Span, SpanExample
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.tuning.full import FullTuning

TOKENIZER = toy.tokenizer()


def head(**changes):
    return SpanClassificationHead(
        **{"labels": ["a", "b"], "hidden_size": 3, "max_width": 2, "span_size": 2, **changes}
    )


def hidden_by_hand(layer, tokens, first, last):
    """The head's hidden layer for one span, from its definition."""
    kernels = np.split(layer.parts.kernel.numpy(), layer.num_parts, axis=1)
    seen = [tokens[first], tokens[last]]
    if layer.representation == "pooled":
        seen.append(tokens[first : last + 1].mean(0))
    else:
        padded = np.pad(tokens, [[1, 1], [0, 0]])
        seen += [padded[first], padded[last + 2]]
    total = sum(x @ kernel for x, kernel in zip(seen, kernels, strict=True))
    total = total + layer.widths.embeddings.numpy()[min(last - first, layer.max_width - 1)]
    hidden = tf.nn.gelu(total).numpy()
    hidden = (hidden - hidden.mean()) / hidden.std()
    return hidden @ layer.classifier.kernel.numpy() + layer.classifier.bias


@pytest.mark.parametrize("representation", ["pooled", "boundary"])
@pytest.mark.parametrize("candidates", ["enumerated", "given"])
def test_a_span_is_its_ends_and_its_mean_or_its_neighbours(representation, candidates):
    layer = head(representation=representation, candidates=candidates, initializer_range=1.0)
    rng = np.random.default_rng(0)
    layer.widths.embeddings.assign(rng.normal(size=[2, 2]))
    tokens = rng.normal(size=[1, 5, 3]).astype(np.float32)
    spans = [(0, 1), (1, 1), (1, 2), (2, 3), (3, 3), (4, 4)]
    batch = {"span_starts": tf.constant([[s for s, _ in spans]])}
    batch["span_ends"] = tf.constant([[e for _, e in spans]])
    logits = layer({"sequence_output": tokens}, batch)["span_logits"][0].numpy()
    for place, (first, last) in enumerate(spans):
        row = place if candidates == "given" else first * 2 + last - first
        expected = hidden_by_hand(layer, tokens[0], first, last)
        np.testing.assert_allclose(logits[row], expected, rtol=1e-4, atol=1e-5)


def test_targets_of_enumerated_spans():
    layer = head()
    batch = {
        "token_ids": tf.constant([[2, 7, 8, 9, 3]]),
        "padding_mask": tf.ones([1, 5], tf.int32),
        "span_tokens": tf.constant([[0, 1, 1, 1, 0]]),
        "span_starts": tf.constant([[2, 1, -1]]),
        "span_ends": tf.constant([[3, 3, -1]]),  # the second is too wide
        "span_label_ids": tf.constant([[1, 0, -1]]),
    }
    labels, weights = layer._targets(batch)
    assert np.reshape(weights, [5, 2]).tolist() == [[0, 0], [1, 1], [1, 1], [1, 0], [0, 0]]
    assert np.reshape(labels, [5, 2]).tolist() == [[0, 0], [0, 0], [0, 2], [0, 0], [0, 0]]
    logits = tf.one_hot(labels, 3) * 2.0
    loss, weight = layer.loss_terms({"span_logits": logits}, batch)["span"]
    assert weight == layer.loss_weights(batch)["span"] == 1  # row
    # The right one of 3 classes has 2, the others 0.
    np.testing.assert_allclose(loss, 5 * -np.log(np.e**2 / (np.e**2 + 2)), rtol=1e-5)


def test_spans_that_cannot_be_learnt_are_counted():
    spans = [Span(0, 3, "a"), Span(0, 15, "a"), Span(3, 4, "a"), Span(24, 27, "b")]
    example = SpanExample("the old red cat and the dog", "", tuple(spans))
    task = SpanClassification(labels=("a", "b"), max_span_width=3)
    features = task.features([example], TOKENIZER, max_length=8)
    assert task.feature_remarks(features) == [
        "of 4 spans are not learnt: 2 cut off or without a token; 1 wider than --max_span_width, "
        "3 tokens"
    ]
    whole = dataclasses.replace(example, spans=tuple(spans[:1]))
    assert task.feature_remarks(task.features([whole], TOKENIZER, max_length=16)) == []
    task = dataclasses.replace(task, candidates="given")
    assert task.feature_remarks(features) == [
        "of 4 spans are not learnt: 2 cut off or without a token"
    ]


def test_only_some_negatives_count():
    layer = head(negatives=0.25)
    batch = {
        "token_ids": tf.ones([4, 100], tf.int32),
        "padding_mask": tf.ones([4, 100], tf.int32),
        "span_starts": tf.constant([[5]] * 4),
        "span_ends": tf.constant([[5]] * 4),
        "span_label_ids": tf.constant([[0]] * 4),
    }
    labels, weights = layer._targets(batch)
    assert 100 < np.sum(weights) < 300  # of 796
    assert np.sum(weights * tf.cast(labels > 0, tf.float32)) == 4
    assert np.array_equal(weights, layer._targets(batch)[1])


def test_the_likeliest_spans_that_do_not_overlap():
    # 3 tokens, width 2: candidates (0,0) (0,1) (1,1) (1,2) (2,2) and one beyond the end.
    likely = np.log([[0.9, 0.05], [0.2, 0.8], [0.1, 0.9], [0.4, 0.6], [0.3, 0.7], [0.0001, 1]])
    found = best_spans(
        tf.constant(likely[None], tf.float32),
        tf.constant([[1.0, 1, 1, 1, 1, 0]]),
        max_width=2,
        max_spans=4,
    )
    assert found["starts"].numpy().tolist() == [[1, 2, 0, 0]]
    assert found["ends"].numpy().tolist() == [[1, 2, 0, 0]]
    assert found["labels"].numpy().tolist() == [[0, 0, -1, -1]]
    np.testing.assert_allclose(found["scores"][0], [0.9, 0.7, 0, 0], atol=1e-6)


def test_many_overlapping_candidates_hide_no_other_span():
    """More than `max_spans` candidates of one region are likelier than a span elsewhere."""
    width, length = 4, 12
    logits = np.zeros([1, length * width, 2], np.float32)
    logits[:, :, 0] = 1.0
    for start in range(width):  # the ten spans that have column 3
        for end in range(width - 1, start + width):
            logits[0, start * width + end - start, 1] = 3.0 + start
    logits[0, 9 * width, 1] = 2.0
    found = best_spans(
        tf.constant(logits), tf.ones([1, length * width]), max_width=width, max_spans=3
    )
    assert found["labels"][0].numpy().tolist() == [0, 0, -1]
    assert found["starts"][0].numpy().tolist() == [3, 9, 0]
    assert found["ends"][0].numpy().tolist() == [3, 9, 0]


def test_candidates_as_a_client_sends_them():
    spans = parsed_candidates(tf.constant(["3-7, 12-20", "", "x 1-2; 4-", "-1-2 0-1234567890"]))
    assert spans.numpy().tolist() == [
        [[3, 7], [12, 20]],
        [[-1, -1]] * 2,
        [[1, 2], [-1, -1]],
        [[-1, -1]] * 2,
    ]


def test_the_columns_of_spans():
    text = "the \U0001f600 cat o\u0301ld dog"
    spans = tuple(
        Span(s, e, "animal") for s, e in ((0, 3), (6, 9), (4, 9), (15, 18), (10, 11), (3, 4))
    )
    task = SpanClassification(labels=("animal", "food"))
    row = task.features([SpanExample(text, "", spans)], TOKENIZER, max_length=16).batch([0])
    # [CLS] the [UNK] cat old dog [SEP]; "o" stands for its token; a space has none.
    assert row["span_starts"].tolist() == [[1, 3, 2, 5, 4, -1]]
    assert row["span_ends"].tolist() == [[1, 3, 3, 5, 4, -1]]
    assert row["span_tokens"].tolist() == [[0, 1, 1, 1, 1, 1, 0]]
    cut = task.features([SpanExample(text, "", spans)], TOKENIZER, max_length=5)
    assert cut.num_truncated == 1
    assert cut.batch([0])["span_starts"].tolist() == [[1, 3, 2, -1, -1, -1]]


def tune(folder, task, *, context="", **changes):
    files = {
        name: toy_spans.write_lines(folder / f"{name}.jsonl", rows, context=context)
        for name, rows in (("train", toy_spans.texts(120)), ("dev", toy_spans.texts(30, seed=1)))
    }
    settings = FinetuneSettings(
        **{
            "task": task,
            "tuning": FullTuning(),
            "init_from": str(toy.write_model_directory(folder / "encoder")),
            "train_file": str(files["train"]),
            "dev_file": str(files["dev"]),
            "output_dir": str(folder / "tuned"),
            "epochs": 10,
            "learning_rate": 5e-3,
            "batch_size": 16,
            "sequence_length": 16,
            **changes,
        }
    )
    return folder / "tuned", files["dev"], finetune(settings)


ODD_TEXTS = [
    "old cat \U0001f600 bread",
    "ol\u0301d cat, n\u0303ew soup",
    "\u05e9\u05dc\u05d5\u05dd cat \u0645\u0631 axe",
    "the\x00 c\x00at \x00",
    "cat " * 100,
    "\u0301",
    "\ufeffcat",
]


@pytest.fixture(scope="module", params=["pooled", pytest.param("boundary", marks=pytest.mark.slow)])
def tuned(request, tmp_path_factory):
    task = SpanClassification(max_span_width=3, span_size=32, span_representation=request.param)
    return tune(tmp_path_factory.mktemp("spans"), task, context="one red")


def test_it_learns_the_toy_spans_and_is_read_back(tuned):
    directory, dev, result = tuned
    losses = [r["loss"] for r in result.training.history if "loss" in r]
    assert losses[-1] < 0.3 * losses[0]
    assert result.metrics["f1"] > 80
    stored = read_config(directory)["keras_bert_suite"]
    assert stored["heads"][0]["max_width"] == 3 and stored["task"]["with_context"]
    assert load_model(directory).heads["span"].get_config()["labels"] == ["animal", "food", "tool"]
    evaluation = evaluate_file(Predictor.load(directory), dev)
    assert evaluation.metrics["f1"] == result.metrics["f1"]
    assert "animal" in result.task.report(evaluation.metrics)
    json.dumps(evaluation.predictions)


@pytest.mark.slow
def test_what_is_served_is_what_is_predicted_and_slices_the_text(tuned, tmp_path):
    directory, _, _ = tuned
    exported = export_model(directory, tmp_path)
    served = tf.saved_model.load(str(exported.path)).signatures["serving_default"]
    answers = served(text=tf.constant(ODD_TEXTS), context=tf.constant(["one red"] * len(ODD_TEXTS)))
    predictor = Predictor.load(directory)
    examples = [predictor.task.example({"text": t, "context": "one red"}) for t in ODD_TEXTS]
    num_found = 0
    for row, prediction in enumerate(predictor.predict(examples)):
        found = [
            {"start": int(start), "end": int(end), "label": label.decode()}
            for start, end, label in zip(
                *(answers[f"span_{k}"][row].numpy() for k in ("start", "end", "label")), strict=True
            )
            if label
        ]
        wanted = [{k: one[k] for k in ("start", "end", "label")} for one in prediction["spans"]]
        assert sorted(found, key=lambda one: one["start"]) == wanted
        for one in prediction["spans"]:
            assert one["text"] == ODD_TEXTS[row][one["start"] : one["end"]] != ""
        num_found += len(wanted)
    assert num_found >= len(ODD_TEXTS) - 2


@pytest.mark.slow
def test_given_spans_get_labels(tmp_path):
    task = SpanClassification(candidates="given", max_span_width=3, span_size=32)
    directory, _, result = tune(tmp_path, task, epochs=6)
    assert result.metrics["f1"] > 90
    predictor = Predictor.load(directory)
    record = {
        "text": "old cat saw bread",
        "spans": [{"start": 12, "end": 17}, {"start": 3, "end": 4}],
    }
    (answer,) = predictor.predict([predictor.task.example(record)])
    first, second = answer["spans"]
    assert (first["text"], first["label"]) == ("bread", "food")
    assert (second["text"], second["label"], second["score"]) == (" ", None, 0.0)
    signature = Signatures(
        predictor.model, tokenizer=TOKENIZER, task=predictor.task, max_length=16
    ).build()["serving_default"]
    texts = {"text": tf.constant([record["text"]]), "spans": tf.constant(["12-17"])}
    answers = signature.compute(texts)
    assert answers["span_label"].numpy().tolist() == [[b"food"]]
    np.testing.assert_allclose(answers["span_score"], [[first["score"]]], atol=1e-5)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"candidates": "all"}, "--candidates must be enumerated or given. Received: 'all'"),
        ({"span_representation": "x"}, "--span_representation must be pooled or boundary"),
        ({"max_span_width": 0}, "--max_span_width must be at least 1"),
        ({"span_negatives": 0.0}, r"--span_negatives must be in \(0, 1\]"),
    ],
)
def test_options(told, message):
    with pytest.raises(ValueError, match=message):
        SpanClassification(**told)


def test_errors_of_files(tmp_path):
    path = toy_spans.write_lines(tmp_path / "a.jsonl", [("cat", []), ("cat", [(0, 4, "x")])])
    with pytest.raises(ValueError, match="a.jsonl, line 2: a span .* of 3 characters"):
        SpanClassification().read(path, bad_rows=BadRows())
    bad_rows = BadRows(skip=True)
    assert len(SpanClassification().read(path, bad_rows=bad_rows)) == len(bad_rows.messages) == 1
    path = toy_spans.write_lines(tmp_path / "b.jsonl", [("cat", [(0, 3, "x")])])
    with pytest.raises(ValueError, match="unknown label 'x'. Known: 'y', 'z'"):
        SpanClassification(labels=("y", "z")).read(path, bad_rows=BadRows())
    with pytest.raises(ValueError, match="two where the spans are given. Received: 'x'"):
        SpanClassification(candidates="given").fit(path, bad_rows=BadRows())
    with pytest.raises(ValueError, match='has no "label"'):
        path.write_text('{"text": "cat", "spans": [{"start": 0, "end": 3}]}')
        SpanClassification().fit(path, bad_rows=BadRows())


@pytest.mark.slow
def test_given_spans_are_exported(tmp_path):
    task = SpanClassification(candidates="given", max_span_width=3, span_size=8)
    directory, _, _ = tune(tmp_path, task, epochs=1)
    result = export_model(directory, tmp_path / "export")
    assert set(result.signatures) == {"serving_default", "tokens"}
