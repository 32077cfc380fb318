"""Fill-mask: masks are found, words are right, what is served is what is predicted."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.serving.saved_model import export_model
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.fill_mask import FillMask
from keras_bert_suite.tasks.graph.mask_features import mask_rows
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.tuning.full import FullTuning

TOKENIZER = toy.tokenizer()


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A fresh encoder with a masked-LM head."""
    keras.utils.set_random_seed(3)
    config = toy.encoder_config()
    path = tmp_path_factory.mktemp("mlm")
    model = BertModel(Encoder(config), [MaskedLMHead.for_encoder(config)])
    save_model(model, path, tokenizer=TOKENIZER)
    return path


def test_masks_stand_where_the_text_says():
    texts = [
        "the [MASK] cat<mask>",
        "[mask] dog",
        "[MASK]",
        "",
        "a [MASK] " + "cat " * 9 + "[MASK]",
    ]
    rows = mask_rows(tf.constant(texts), TOKENIZER, max_length=8)
    tokens = [
        [TOKENIZER.vocabulary[i] for i, real in zip(ids, mask, strict=True) if real]
        for ids, mask in zip(rows["token_ids"].numpy(), rows["padding_mask"].numpy(), strict=True)
    ]
    assert tokens[0] == ["[CLS]", "the", "[MASK]", "cat", "[MASK]", "[SEP]"]
    assert tokens[1] == ["[CLS]", "[UNK]", "[UNK]", "[UNK]", "dog", "[SEP]"]  # text, not a mask
    assert tokens[2:4] == [["[CLS]", "[MASK]", "[SEP]"], ["[CLS]", "[SEP]"]]
    positions = [[2, 4], [0, 0], [1, 0], [0, 0], [2, 0]]  # the last row's second mask is cut off
    assert rows["prediction_positions"].numpy().tolist() == positions
    assert rows["cut"].numpy().tolist() == [False] * 4 + [True]


def test_the_words_are_the_likeliest_of_the_head(directory):
    predictor = Predictor.load(directory, task="fill_mask", options={"top_k": 3})
    text = "the [MASK] eats <mask> \U0001f600"
    (answer,) = predictor.predict([predictor.task.example({"text": text})])
    # The same by hand: all positions projected, softmax, the three greatest.
    rows = mask_rows(tf.constant([text]), TOKENIZER, max_length=16)
    batch = {key: rows[key] for key in ("token_ids", "segment_ids", "padding_mask")}
    logits = load_model(directory)(batch)["mlm_logits"].numpy()[0]
    for mask, position in zip(answer["masks"], (2, 4), strict=True):
        shares = np.exp(logits[position]) / np.exp(logits[position]).sum()
        best = np.argsort(-shares)[:3]
        assert [one["word"] for one in mask] == [toy.VOCABULARY[i] for i in best]
        np.testing.assert_allclose([one["score"] for one in mask], shares[best], rtol=1e-4)
    first, second = (mask[0]["word"] for mask in answer["masks"])
    assert answer["filled"] == f"the {first} eats {second} \U0001f600"


@pytest.mark.slow
def test_what_is_served(directory, tmp_path):
    result = export_model(directory, tmp_path, task="fill_mask", options={"top_k": 2})
    served = tf.saved_model.load(str(result.path)).signatures["serving_default"]
    texts = ["[MASK] cat [MASK]", "no mask", "\x00 old [MASK]"]
    answers = served(text=tf.constant(texts))
    words = answers["word"].numpy().astype("U")
    assert words.shape == (3, 2, 2)
    assert (words[1] == "").all() and (words[2, 1] == "").all()
    predictor = Predictor.load(directory, task="fill_mask", options={"top_k": 2})
    predicted = predictor.predict([predictor.task.example({"text": texts[i]}) for i in (0, 2)])
    for row, prediction in zip((0, 2), predicted, strict=True):
        for place, mask in enumerate(prediction["masks"]):
            assert words[row, place].tolist() == [one["word"] for one in mask]
    assert not served(text=tf.constant(["none"]))["word"].shape[1]


@pytest.mark.slow
def test_it_learns_words(directory, tmp_path):
    rows = [(f"the old [MASK] {word} new [MASK]", f"red {word}") for word in toy.WORDS["tool"]] * 6
    train = toy.write_rows(tmp_path / "train.tsv", ["text", "label"], rows)
    settings = FinetuneSettings(
        task=FillMask(top_k=2),
        tuning=FullTuning(),
        init_from=str(directory),
        train_file=str(train),
        dev_file=str(train),
        output_dir=str(tmp_path / "tuned"),
        epochs=15,
        learning_rate=5e-3,
        batch_size=8,
        sequence_length=16,
    )
    result = finetune(settings)
    losses = [r["loss"] for r in result.training.history if "loss" in r]
    assert losses[-1] < 0.5 * losses[0]
    assert result.metrics["accuracy"] > 0.6 and result.metrics["num_masks"] == 48
    assert result.metrics["top_k_accuracy"] >= result.metrics["accuracy"]
    assert "accuracy of the best 2" in result.task.report(result.metrics)
    assert Predictor.load(tmp_path / "tuned").task.top_k == 2


def test_errors(directory, tmp_path):
    with pytest.raises(ValueError, match="--top_k must be at least 1"):
        FillMask(top_k=0)
    with pytest.raises(ValueError, match=r"the text has no \[MASK\] to fill"):
        FillMask().example({"text": "the cat"})
    path = toy.write_rows(tmp_path / "a.tsv", ["text", "label"], [("a [MASK]", "two words")])
    with pytest.raises(ValueError, match="line 2: every .* Received: 1 masks and 2 words"):
        FillMask().read(path, bad_rows=BadRows())
    path = toy.write_rows(tmp_path / "b.tsv", ["text", "label"], [("a [MASK]", "zebra")])
    with pytest.raises(ValueError, match=r"b.tsv, line 2: the word .* Received: 'zebra'"):
        FillMask().for_tokenizer(TOKENIZER).read(path, bad_rows=BadRows())


def test_a_word_that_is_no_piece_of_the_vocabulary_is_a_bad_row(directory, tmp_path):
    rows = [("the [MASK]", "cat"), ("the [MASK]", "zebra")]
    path = toy.write_rows(tmp_path / "a.tsv", ["text", "label"], rows)
    predictor = Predictor.load(directory, task="fill_mask")
    with pytest.raises(ValueError, match="line 3: .*'zebra'.*--skip_bad_rows goes on"):
        evaluate_file(predictor, path)
    evaluation = evaluate_file(predictor, path, skip_bad_rows=True)
    assert evaluation.metrics["num_masks"] == evaluation.metrics["num_bad_rows"] == 1


def test_a_model_without_the_head(tmp_path):
    path = toy.write_model_directory(tmp_path)
    with pytest.raises(
        ValueError, match="no head 'mlm', which the task 'fill_mask' needs. It has: none"
    ):
        Predictor.load(path, task="fill_mask")
    with pytest.raises(ValueError, match="no head that answers.*--task=embedding or token_vec"):
        Predictor.load(path)
