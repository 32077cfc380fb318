"""Vectors of texts and tokens: equal to the encoder's own; pairs are learnt."""

import random

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy

from keras_bert_suite.checkpoints.model_directory import load_encoder, read_config
from keras_bert_suite.models.heads.layer_vectors import EmbeddingHead
from keras_bert_suite.serving.saved_model import export_model
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.embedding import Embedding, EmbeddingExample
from keras_bert_suite.tasks.token_vectors import TokenVectors
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.prediction import Predictor
from keras_bert_suite.tuning.full import FullTuning

TEXTS = ["the old cat", "r\u0065\u0301d \U0001f600 dog", "\u05e9\u05dc\u05d5\u05dd cat", "saw\x00"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return toy.write_model_directory(tmp_path_factory.mktemp("encoder"))


def layers_of(directory, texts):
    """(all layers, padding mask) of the encoder itself."""
    batch = toy.tokenizer()(texts)
    encoded = load_encoder(directory)(batch, return_all_hidden_states=True)
    return [layer.numpy() for layer in encoded["all_hidden_states"]], batch["padding_mask"]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("layer", [-1, 1])
def test_embeddings_of_any_encoder(directory, pooling, layer):
    options = {"pooling": pooling, "layer": layer, "normalize": "yes" if layer == 1 else "no"}
    predictor = Predictor.load(directory, task="embedding", options=options)
    answers = predictor.predict([predictor.task.example({"text": text}) for text in TEXTS])
    layers, mask = layers_of(directory, TEXTS)
    wanted = layers[layer][:, 0]
    if pooling == "mean":
        wanted = (layers[layer] * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    if layer == 1:
        wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose([answer["embedding"] for answer in answers], wanted, atol=1e-5)


def test_the_contrastive_loss_by_hand():
    head = EmbeddingHead(hidden_size=2, temperature=0.5)
    vectors = np.array([[2, 0], [1, 0], [0, 1], [0, 3], [1, 1], [1, 1]], np.float32)
    batch = {"group_ids": tf.constant([0, 0, 1, 1, 2, 2])}
    batch["example_weights"] = tf.constant([1.0, 1, 1, 1, 0, 0])  # the third completes the batch
    loss, weight = head.loss_terms({"embedding": tf.constant(vectors)}, batch)["contrastive"]
    # Each text has its own with cosine 1 and the other with 0, over 0.5: -log(e^2 / (e^2 + 1)).
    np.testing.assert_allclose(loss, 2 * np.log(1 + np.exp(-2)), rtol=1e-5)
    assert weight == head.loss_weights(batch)["contrastive"] == 2
    hits, count = head.metric_terms({"embedding": tf.constant(vectors)}, batch)["pair_accuracy"]
    assert (hits, count) == (2, 2)


@pytest.mark.slow
def test_pairs_are_learnt_and_ranked(directory, tmp_path):
    rng = random.Random(0)
    words = [word for kind in sorted(toy.WORDS) for word in toy.WORDS[kind]]
    rows = [
        (f"{rng.choice(toy.FILLERS)} {word}", f"{word} {rng.choice(toy.FILLERS)}")
        for word in words * 8
    ]
    train = toy.write_rows(tmp_path / "train.tsv", ["text_a", "text_b"], rows)
    dev = toy.write_rows(tmp_path / "dev.tsv", ["text_a", "text_b"], rows[: len(words)])
    settings = FinetuneSettings(
        task=Embedding(),
        tuning=FullTuning(),
        init_from=str(directory),
        train_file=str(train),
        dev_file=str(dev),
        output_dir=str(tmp_path / "tuned"),
        epochs=6,
        learning_rate=2e-3,
        batch_size=12,
        sequence_length=16,
    )
    result = finetune(settings)
    losses = [r["loss"] for r in result.training.history if "loss" in r]
    assert losses[-1] < losses[0]
    assert result.metrics["accuracy"] > 0.7
    assert "mean reciprocal rank among 12" in result.task.report(result.metrics)
    assert read_config(tmp_path / "tuned")["keras_bert_suite"]["heads"][0]["pooling"] == "mean"
    predictor = Predictor.load(tmp_path / "tuned")
    one, pair = predictor.predict(
        [
            predictor.task.example({"text": "old cat"}),
            predictor.task.example({"text_a": "old cat", "text_b": "old cat"}),
        ]
    )
    assert len(one["embedding"]) == 32 and pair == {"similarity": pytest.approx(1.0)}


@pytest.mark.parametrize("layer", [0, -2])
def test_the_vectors_of_tokens(directory, layer):
    predictor = Predictor.load(directory, task="token_vectors", options={"layer": layer})
    answers = predictor.predict([predictor.task.example({"text": text}) for text in TEXTS])
    layers, mask = layers_of(directory, TEXTS)
    for row, (text, answer) in enumerate(zip(TEXTS, answers, strict=True)):
        vectors = [token["vector"] for token in answer["tokens"]]
        np.testing.assert_allclose(vectors, layers[layer][row][mask[row] > 0], atol=1e-5)
        words = [text[token["start"] : token["end"]] for token in answer["tokens"]]
        assert words[0] == words[-1] == "" and all(words[1:-1])
    assert [token["token"] for token in answers[0]["tokens"]] == [
        *("[CLS]", "the", "old", "cat", "[SEP]")
    ]


@pytest.mark.slow
def test_token_vectors_are_served(directory, tmp_path):
    result = export_model(directory, tmp_path, task="token_vectors", options={"layer": 1})
    served = tf.saved_model.load(str(result.path)).signatures["serving_default"]
    answers = served(text=tf.constant(TEXTS))
    layers, mask = layers_of(directory, TEXTS)
    found = answers["token_vectors"].numpy() * mask[:, :, None]
    np.testing.assert_allclose(found, layers[1] * mask[:, :, None], atol=1e-5)


@pytest.mark.slow
def test_embeddings_are_served(directory, tmp_path):
    result = export_model(directory, tmp_path, task="embedding")
    served = tf.saved_model.load(str(result.path)).signatures["serving_default"]
    predictor = Predictor.load(directory, task="embedding")
    answers = predictor.predict([predictor.task.example({"text": text}) for text in TEXTS])
    wanted = [answer["embedding"] for answer in answers]
    found = served(text=tf.constant(TEXTS))["embedding"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


STS = (
    "index\tsentence1\tsentence2\tscore\n0\tthe cat\tthe cat\t5\n1\ta saw\ta dog\t1.5\n2\tx\ty\t2\n"
)


def test_pairs_with_numbers_are_scored_by_correlation(tmp_path):
    (tmp_path / "sts.tsv").write_text(STS)
    task = Embedding()
    examples = task.read(tmp_path / "sts.tsv", bad_rows=BadRows())
    assert examples[1] == EmbeddingExample(("a saw", "a dog"), ranked=True, gold=1.5)
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [1, 0], [3, 4]], np.float32)
    decoded = {"embedding": vectors, "example_index": np.array([0, 0, 1, 1, 2, 2])}
    answers = task.predictions(decoded, examples)
    assert [(one["gold"], round(one["similarity"], 6)) for one in answers] == [
        (5.0, 1.0), (1.5, 0.0), (2.0, 0.6),
    ]  # fmt: skip
    metrics = task.score(answers, examples)
    assert metrics["spearman"] == pytest.approx(1.0)
    assert metrics["pearson"] == pytest.approx(np.corrcoef([5, 1.5, 2], [1, 0, 0.6])[0, 1])
    assert "Spearman correlation: 1.0000" in task.report(metrics)
    assert (task.best_by, Embedding(label_column="score").best_by) == (
        "mean_reciprocal_rank", "spearman",
    )  # fmt: skip


def test_pairs_that_may_not_belong_together_are_not_learnt_as_if_they_did(tmp_path):
    (tmp_path / "sts.tsv").write_text(STS)
    with pytest.raises(ValueError, match=r"sts.tsv: what is learnt are pairs .* column 'score'"):
        Embedding().fit(tmp_path / "sts.tsv", bad_rows=BadRows())
    (tmp_path / "pairs.csv").write_text("q,a\nwho,me\n")
    task = Embedding(text_a_column="q", text_b_column="a", label_column="alike")
    assert task.fit(tmp_path / "pairs.csv", bad_rows=BadRows())[1][0].texts == ("who", "me")
    assert task.example({"q": "who", "a": "me"}).texts == ("who", "me")


def test_errors(directory, tmp_path):
    with pytest.raises(ValueError, match="--pooling must be mean or cls. Received: 'max'"):
        Embedding(pooling="max")
    with pytest.raises(ValueError, match="--temperature must be positive"):
        Embedding(temperature=0.0)
    with pytest.raises(ValueError, match="learns nothing. Give x to bin/predict.py"):
        TokenVectors().fit("x", bad_rows=BadRows())
    predictor = Predictor.load(directory, task="token_vectors", options={"layer": 9})
    with pytest.raises(ValueError, match=r"--layer must be in -3..2: .* Received: 9"):
        predictor.predict([predictor.task.example({"text": "cat"})])
    path = toy.write_rows(tmp_path / "a.tsv", ["text_a", "text_b"], [("cat", " ")])
    with pytest.raises(ValueError, match="a.tsv, line 2: the text in column 'text_b' is empty"):
        Embedding().fit(path, bad_rows=BadRows())
