"""Question answering: windows lose nothing, offsets slice the context, toys are learnt."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
import toy_questions

from keras_bert_suite.checkpoints.model_directory import read_config
from keras_bert_suite.serving.saved_model import export_model
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.graph.question_answering_windows import Windows, candidates, joined
from keras_bert_suite.tasks.question_answering import QuestionAnswering
from keras_bert_suite.tasks.squad_files import QuestionExample
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.tuning.full import FullTuning

TOKENIZER = toy.tokenizer()


def example(context, span, question="the cat"):
    answers = () if span is None else (context[slice(*span)],)
    return QuestionExample(question, context, "q", answers, span)


def rows_of(features):
    """Each row's real part: a list of dicts."""
    return [
        {key: v[start : start + n] for key, v in features.tokens.items()}
        | {key: v[row] for key, v in features.rows.items()}
        for row, (start, n) in enumerate(zip(features.starts, features.lengths, strict=True))
    ]


def test_the_windows_of_a_long_context():
    # [CLS] the cat [SEP], room for 4, [SEP]; a window begins every 2 of the 9 tokens.
    context = "red dog saw axe file soup rice cake new"
    task = QuestionAnswering(doc_stride=2)
    span = (context.index("soup"), context.index("cake") - 1)  # "soup rice", tokens 5 and 6
    features = task.features([example(context, span)], TOKENIZER, max_length=9)
    rows = rows_of(features)
    words = context.split()
    shown = [[TOKENIZER.vocabulary[i] for i in row["token_ids"]] for row in rows]
    assert shown == [
        ["[CLS]", "the", "cat", "[SEP]", *words[first : first + 4], "[SEP]"] for first in (0, 2, 4)
    ] + [["[CLS]", "the", "cat", "[SEP]", *words[6:], "[SEP]"]]
    assert features.example_index.tolist() == [0, 0, 0, 0]
    # Context: min(left, right) + 0.01 * length; of equals the first window.
    assert [row["answer_tokens"][4:-1].tolist() for row in rows] == [
        [2, 2, 2, 1],  # token 2 has 1 to the right, and nothing to the left in the next window
        [1, 2, 2, 1],
        [1, 2, 2, 1],
        [1, 2, 2],
    ]
    columns = [(row["start_positions"], row["end_positions"]) for row in rows]
    assert columns == [(0, 0), (0, 0), (5, 6), (0, 0)]
    for row in rows:
        for start, end, allowed in zip(
            row["char_starts"], row["char_ends"], row["answer_tokens"], strict=True
        ):
            assert (context[start:end] in words) == (allowed > 0)


@pytest.mark.parametrize("length", [0, 1, 7, 40])
@pytest.mark.parametrize("max_length", [5, 6, 13, 64])
@pytest.mark.parametrize("stride", [1, 3, 128])
def test_every_token_may_start_an_answer_in_exactly_one_window(length, max_length, stride):
    batch, _ = Windows(max_length, 2, stride).make(
        tf.constant(["cat the dog", ""]), tf.constant(["soup " * length, "axe"]), TOKENIZER
    )
    assert batch["token_ids"].shape[1] <= max_length
    starts = batch["char_starts"].numpy()[batch["answer_tokens"].numpy() == 2]
    assert sorted(starts) == sorted([*(5 * i for i in range(length)), 0])


def test_the_best_candidates_are_those_of_all_spans():
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=[2, 3, 9]).astype(np.float32)
    allowed = np.array([[0, 2, 2, 1, 2, 2, 2, 2, 0]] * 2 + [[0] * 9], np.int32)
    found = candidates(
        {"start_logits": tf.constant(start), "end_logits": tf.constant(end)},
        {"answer_tokens": tf.constant(allowed)},
        n_best=20,
        max_answer_tokens=3,
    )
    for row in range(3):
        every = sorted(
            (
                (float(start[row, i] + end[row, j]), i, j + 1)
                for i in range(9)
                for j in range(i, min(i + 3, 9))
                if allowed[row, i] == 2 and allowed[row, j] > 0
            ),
            reverse=True,
        )
        count = len(every)
        assert count == [15, 15, 0][row]
        got = [found[k][row, :count].numpy() for k in ("span_scores", "span_starts", "span_ends")]
        for values, wanted in zip(got, zip(*every, strict=True), strict=False):
            np.testing.assert_array_equal(values, np.array(wanted, values.dtype))
        assert (found["span_scores"][row, count:] < -1e8).numpy().all()
    np.testing.assert_array_equal(found["null_scores"], start[:, 0] + end[:, 0])


def test_windows_are_joined():
    found = {
        "span_scores": tf.constant([[5.0, 1.0], [7.0, -2e9], [-2e9, -2e9]]),
        "span_starts": tf.constant([[1, 2], [3, 0], [0, 0]]),
        "span_ends": tf.constant([[4, 5], [6, 0], [0, 0]]),
        "null_scores": tf.constant([2.0, 1.5, 9.0]),
    }
    best = joined(found, tf.constant([0, 0, 1]), num_examples=tf.constant(2))
    assert best["span_scores"][0].numpy().tolist() == [7.0, 5.0]
    assert best["span_starts"][0].numpy().tolist() == [3, 1]
    assert best["span_ends"][0].numpy().tolist() == [6, 4]
    assert best["null_scores"].numpy().tolist() == [1.5, 9.0]
    assert best["null_odds"][0] == -5.5 and best["null_odds"][1] > 1e9


def test_the_null_threshold():
    best = {"text": "x", "score": 0.6, "start": 2, "end": 3}
    row = {"null_odds": 0.5, "null_score": 0.4, "n_best": [best]}
    task = QuestionAnswering(unanswerable=True, null_threshold=0.5)
    assert task._answered(row)["answer"] == "x"
    stricter = dataclasses.replace(task, null_threshold=0.4)._answered(row)
    assert (stricter["answer"], stricter["score"], stricter["end"]) == ("", 0.4, 0)
    assert QuestionAnswering()._answered({**row, "null_odds": 1e6})["answer"] == "x"
    assert QuestionAnswering()._answered({**row, "n_best": []})["answer"] == ""
    assert QuestionAnswering(null_threshold=0.4)._answered(row)["answer"] == ""  # told, it counts


def test_a_model_of_squad_1_1_is_scored_by_the_answers_that_it_gives():
    """On 2.0 too: by its files alone the official script must come to the same numbers."""
    examples = [
        QuestionExample("who?", "it is x", id="1", answers=("x",)),
        QuestionExample("who?", "it is x", id="2", answers=()),
    ]
    best = {"text": "x", "score": 0.6, "start": 6, "end": 7}
    row = {"null_odds": 3.0, "null_score": 0.0, "n_best": [best]}
    task = QuestionAnswering()
    answers = [task._answered({**row, "id": example.id}) for example in examples]
    assert [one["answer"] for one in answers] == ["x", "x"]
    metrics = task.score(answers, examples)
    assert (metrics["exact"], metrics["HasAns_exact"], metrics["NoAns_exact"]) == (50, 100, 0)
    assert "null_threshold" not in metrics
    assert "null threshold used" not in task.report(metrics)
    told = dataclasses.replace(task, null_threshold=0.0).score(answers, examples)
    assert (told["exact"], told["HasAns_exact"], told["null_threshold"]) == (50, 0, 0.0)


def test_an_answer_that_has_no_token_is_not_learnt():
    context = "red \u0301 dog"  # a combining accent alone leaves no token
    features = QuestionAnswering().features(
        [example(context, (4, 5)), example("dog", None)], TOKENIZER, max_length=16
    )
    assert features.rows["start_positions"].tolist() == [-1, 0]


def test_the_answer_lost_is_left_out_with_a_warning(tmp_path):
    rows = [("the cat", "red dog", 4, "dog"), ("the cat", "red dog", 4, "axe")]
    path = toy_questions.write_squad(tmp_path / "a.json", rows)
    bad_rows = BadRows()
    task, examples = QuestionAnswering().fit(path, bad_rows=bad_rows)
    assert len(examples) == 1 and not task.unanswerable
    assert "question 'q1': none of its answers ('axe') stands in" in bad_rows.messages[0]
    read = task.read(path, bad_rows=BadRows())
    assert len(read) == 2  # it counts in the score
    features = task.features(read, TOKENIZER, max_length=16)
    assert features.rows["start_positions"].tolist() == [5, -1]
    path = toy_questions.write_squad(tmp_path / "b.json", rows[1:])
    with pytest.raises(ValueError, match="no question has an answer that stands in its context"):
        QuestionAnswering().fit(path, bad_rows=BadRows())


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """(directory, dev file, result) of a run on the toy questions, some unanswerable."""
    folder = tmp_path_factory.mktemp("questions")
    train = toy_questions.write_squad(folder / "train.json", toy_questions.questions(150))
    dev = toy_questions.write_squad(folder / "dev.json", toy_questions.questions(30, seed=1))
    settings = FinetuneSettings(
        task=QuestionAnswering(doc_stride=4),
        tuning=FullTuning(),
        init_from=str(toy.write_model_directory(folder / "encoder")),
        train_file=str(train),
        dev_file=str(dev),
        output_dir=str(folder / "tuned"),
        epochs=5,
        learning_rate=5e-3,
        batch_size=16,
        sequence_length=16,
    )
    return folder / "tuned", dev, finetune(settings)


def test_it_learns_the_toy_questions(tuned):
    directory, dev, result = tuned
    losses = [r["loss"] for r in result.training.history if "loss" in r]
    assert losses[-1] < 0.6 * losses[0]
    answering_nothing = 100 / 3
    assert result.metrics["f1"] == result.metrics["best_f1"] > 2 * answering_nothing
    stored = read_config(directory)["keras_bert_suite"]["task"]
    assert stored["null_threshold"] == result.metrics["best_f1_thresh"]
    evaluation = evaluate_file(Predictor.load(directory), dev)
    assert evaluation.metrics["f1"] == result.metrics["f1"]
    assert "null threshold used" in result.task.report(evaluation.metrics)


def test_the_files_for_the_official_script_have_the_same_score(tuned, tmp_path):
    directory, dev, result = tuned
    predictor = Predictor.load(directory)
    evaluation = evaluate_file(predictor, dev)
    files = predictor.task.prediction_files(evaluation.predictions)
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    metrics = QuestionAnswering().score_file(
        str(tmp_path / "predictions.json"), data_file=str(dev), null_odds_file=None
    )
    assert metrics["f1"] == result.metrics["f1"]
    assert set(files["n_best.json"]) == set(files["null_odds.json"]) == {f"q{i}" for i in range(30)}


ODD_CONTEXTS = {
    "emoji": "red \U0001f600\U0001f600 dog saw \U0001f468\u200d\U0001f469\u200d\U0001f467 cat",
    "combining": "r\u0065\u0301d do\u0323g s\u0061\u0301w cat",
    "right to left": "\u05e9\u05dc\u05d5\u05dd dog \u0645\u0631\u062d\u0628\u0627 cat",
    "zero bytes": "red\x00 d\x00og \x00\x00 cat\x00",
    "empty": "",
    "white space": " \n\t ",
    "byte order mark": "\ufeffred dog cat",
    "long": "red dog saw " * 500,
}


@pytest.mark.slow
def test_what_is_served_is_what_is_predicted_and_slices_the_context(tuned, tmp_path):
    directory, _, _ = tuned
    result = export_model(directory, tmp_path)
    assert set(result.signatures) == {"serving_default", "tokens"}
    served = tf.saved_model.load(str(result.path)).signatures["serving_default"]
    predictor = Predictor.load(directory)
    question, contexts = "some of the cat", list(ODD_CONTEXTS.values())
    answers = served(
        question=tf.constant([question] * len(contexts)), context=tf.constant(contexts)
    )
    examples = [
        predictor.task.example({"question": question, "context": context}) for context in contexts
    ]
    predictions = predictor.predict(examples)
    for row, (context, prediction) in enumerate(zip(contexts, predictions, strict=True)):
        start, end = int(answers["start"][row]), int(answers["end"][row])
        answer = answers["answer"][row].numpy().decode("utf-8")
        assert answer == context[start:end] == prediction["answer"]
        assert (start, end) == (prediction["start"], prediction["end"])
        np.testing.assert_allclose(answers["score"][row], prediction["score"], atol=1e-5)
        for one in prediction["n_best"]:
            assert one["text"] == context[one["start"] : one["end"]]
    assert (answers["answer"] != "").numpy().any()
    assert predictions[contexts.index("")]["n_best"] == []


@pytest.mark.slow
def test_a_context_of_100_000_characters_and_bfloat16(tuned, tmp_path):
    directory, _, _ = tuned
    result = export_model(directory, tmp_path, precision="bfloat16")
    served = tf.saved_model.load(str(result.path)).signatures["serving_default"]
    context = "red old new " * 8_400 + "cat"
    answers = served(question=tf.constant(["some of the cat"]), context=tf.constant([context]))
    start, end = int(answers["start"][0]), int(answers["end"][0])
    assert answers["answer"].numpy()[0].decode() == context[start:end]
    predictor = Predictor.load(directory)
    example = predictor.task.example({"question": "some of the cat", "context": context})
    (prediction,) = predictor.predict([example])
    assert prediction["n_best"]


def test_malformed_bytes_do_no_harm(tuned):
    directory, _, _ = tuned
    task = Predictor.load(directory).task
    texts = {
        "question": tf.constant([b"\xff\xfe", b""]),
        "context": tf.constant([b"cat \xff\xc3\x28 dog \xe2\x82", b"\x80" * 50]),
    }
    batch = task.serving_features(texts, TOKENIZER, 16)
    shape = batch["token_ids"].shape
    rng = np.random.default_rng(0)
    logits = {
        key: tf.constant(rng.normal(size=shape).astype(np.float32))
        for key in ("start_logits", "end_logits")
    }
    answers = task.served(task.decode(logits, batch), batch, texts)
    assert answers["answer"].shape == [2]


@pytest.mark.parametrize("name", ["doc_stride", "n_best", "max_answer_tokens"])
def test_counts_are_positive(name):
    with pytest.raises(ValueError, match=f"--{name} must be at least 1. Received: 0"):
        QuestionAnswering(**{name: 0})
