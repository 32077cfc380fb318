"""Cloze prompts: rows of a pattern, answers without training, what is stored, what is refused."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
from run_binary import run_binary

from keras_bert_suite.checkpoints.model_directory import load_model, read_config, save_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.cloze import Cloze
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.text.byte_pair_tokenizer import BytePairTokenizer
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.tuning.full import FullTuning

TOKENIZER = toy.tokenizer()
PATTERN = "{text} of [MASK]"
WORDS = {"pet": ["cat", "dog"], "meal": "soup"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A fresh encoder with a masked-LM head."""
    keras.utils.set_random_seed(3)
    config = toy.encoder_config()
    path = tmp_path_factory.mktemp("mlm")
    model = BertModel(Encoder(config), [MaskedLMHead.for_encoder(config)])
    save_model(model, path, tokenizer=TOKENIZER)
    return path


def rows_of(pattern, *texts, max_length=32, tokenizer=TOKENIZER):
    """The tokens of each row, its segment ids, and whether it was cut."""
    task = Cloze(pattern=pattern, verbalizer={"a": "x", "b": "y"})
    object.__setattr__(task, "verbalizer", ())  # the rows alone
    task = task.for_tokenizer(tokenizer)
    names = task.signature()["serving_default"]["inputs"]
    columns = {name: tf.constant(column) for name, column in zip(names, texts, strict=True)}
    rows = {k: v.numpy() for k, v in task.serving_features(columns, tokenizer, max_length).items()}
    real = rows["padding_mask"] > 0
    tokens = [
        " ".join(tokenizer.vocabulary[i] for i in ids[keep])
        for ids, keep in zip(rows["token_ids"], real, strict=True)
    ]
    segments = [row[keep].tolist() for row, keep in zip(rows["segment_ids"], real, strict=True)]
    return tokens, segments, rows["cut"].tolist()


def test_the_text_is_cut_and_the_pattern_never():
    tokens, _, cut = rows_of("the {text} of [MASK]", ["cat", "a " * 40, "", "[MASK]"], max_length=8)
    assert tokens == [
        "[CLS] the cat of [MASK] [SEP]",
        "[CLS] the a a a of [MASK] [SEP]",
        "[CLS] the of [MASK] [SEP]",
        "[CLS] the [UNK] [UNK] [UNK] of [MASK] [SEP]",  # what a text says is text
    ]
    assert cut == [False, True, False, False]


def test_the_longer_text_of_a_pair_is_cut_first_and_segments_are_those_of_the_pattern():
    texts = ["cat dog cat dog cat dog", "saw"], ["axe", "saw axe saw axe saw"]
    tokens, segments, _ = rows_of("{text_a} [SEP] [MASK] the {text_b}", *texts, max_length=10)
    assert tokens == [
        "[CLS] cat dog cat dog [SEP] [MASK] the axe [SEP]",
        "[CLS] saw [SEP] [MASK] the saw axe saw axe [SEP]",
    ]
    assert segments == [[0] * 6 + [1] * 4, [0] * 3 + [1] * 7]
    tokens, segments, _ = rows_of("{text_b} <mask> {text_a}", *texts, max_length=6)
    assert tokens == ["[CLS] axe [MASK] cat dog [SEP]", "[CLS] saw axe [MASK] saw [SEP]"]
    assert segments == [[0] * 6] * 2


def test_white_space_before_a_slot_or_a_mask_belongs_to_what_follows():
    """As in RoBERTa, whose mask takes the space before it and whose pieces begin with one."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = ["a", "b", "c", "Ġ", ".", "Ġa", "Ġb"]
    tokenizer = BytePairTokenizer([*special, *letters], [("Ġ", "a"), ("Ġ", "b")])
    tokens, _, _ = rows_of("{text} a <mask>. {text}"[:-7], ["b", ""], tokenizer=tokenizer)
    assert tokens == ["<s> b Ġa <mask> . </s>", "<s> Ġa <mask> . </s>"]
    tokens, _, _ = rows_of("c: {text_a} </s> [MASK], {text_b}", ["b"], ["a"], tokenizer=tokenizer)
    assert tokens == ["<s> c Ġb </s> </s> <mask> Ġa </s>"]


def test_an_untrained_model_answers_by_its_masked_lm_head(directory):
    task_options = {"pattern": PATTERN, "verbalizer": WORDS}
    predictor = Predictor.load(directory, task="cloze", options=task_options)
    examples = [predictor.task.example({"text": text}) for text in ("the saw", "a hen with cake")]
    answers = predictor.predict(examples)
    filled = Predictor.load(directory, task="fill_mask", options={"top_k": len(toy.VOCABULARY)})
    texts = [{"text": f"{text} of [MASK]"} for text in ("the saw", "a hen with cake")]
    for answer, whole in zip(
        answers, filled.predict([filled.task.example(text) for text in texts]), strict=True
    ):
        chance = {one["word"]: one["score"] for one in whole["masks"][0]}
        parts = {"pet": np.sqrt(chance["cat"] * chance["dog"]), "meal": chance["soup"]}
        for label, part in parts.items():
            assert answer["scores"][label] == pytest.approx(part / sum(parts.values()), rel=1e-4)
        assert answer["label"] == max(parts, key=parts.get)


@pytest.mark.slow
def test_trained_it_is_a_masked_language_model_with_a_task(directory, tmp_path):
    train = toy.write_rows(tmp_path / "train.csv", ["review", "kind"], toy.texts(48))
    words = {kind: names[:1] for kind, names in toy.WORDS.items()}
    task = Cloze(pattern=PATTERN, verbalizer=words, text_column="review", label_column="kind")
    settings = FinetuneSettings(
        task=task,
        tuning=FullTuning(),
        init_from=str(directory),
        train_file=str(train),
        dev_file=str(train),
        output_dir=str(tmp_path / "tuned"),
        epochs=8,
        learning_rate=1e-2,
        batch_size=8,
        sequence_length=20,
    )
    result = finetune(settings)
    assert result.metrics["accuracy"] > 0.8
    values = read_config(tmp_path / "tuned")
    assert values["architectures"] == ["BertForMaskedLM"]
    stored = values["keras_bert_suite"]["task"]
    assert (stored["pattern"], stored["verbalizer"]) == (PATTERN, words)
    assert load_model(tmp_path / "tuned").heads.keys() == {"mlm"}
    predictor = Predictor.load(tmp_path / "tuned")
    assert evaluate_file(predictor, train).metrics["accuracy"] == result.metrics["accuracy"]
    assert predictor.task.classes == ("animal", "food", "tool")
    other = Predictor.load(tmp_path / "tuned", options={"verbalizer": ["old=axe", "new=drill"]})
    assert other.task.classes == ("old", "new")
    assert Task.from_config(json.loads(json.dumps(task.to_config()))) == task


@pytest.mark.slow
def test_the_binaries_without_training(directory, tmp_path):
    data = toy.write_rows(tmp_path / "test.csv", ["text_a", "text_b", "label"], toy.pairs(9))
    flags = ["--task=cloze", "--pattern={text_a} [MASK] {text_b}"]
    flags += ["--verbalizer=same=and|with,other=on"]
    result = run_binary(
        "evaluate",
        f"--model_dir={directory}",
        f"--data_file={data}",
        f"--output_dir={tmp_path / 'scores'}",
        *flags,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "scores/metrics.json").read_text())["num_examples"] == 9
    lines = (tmp_path / "scores/predictions.jsonl").read_text().splitlines()
    line = json.dumps(dict(zip(("text_a", "text_b"), toy.pairs(9)[0][:2], strict=True)))
    result = run_binary("predict", f"--model_dir={directory}", *flags, stdin=line)
    assert result.returncode == 0, result.stderr
    answer, scored = json.loads(result.stdout)["prediction"], json.loads(lines[0])
    assert answer["scores"] == pytest.approx(scored["scores"], abs=1e-5)


def test_the_verbalizer_by_flag_or_by_file(tmp_path):
    given = ["a=b=x|y", "c=z"]
    task = Task.from_options("cloze", {"pattern": PATTERN, "verbalizer": given})
    assert task.verbalizer == (("a=b", "x", "y"), ("c", "z"))
    path = tmp_path / "words.json"
    path.write_text(json.dumps({"a=b": ["x", "y"], "c": "z"}))
    options = {"pattern": PATTERN, "verbalizer": [str(path)]}
    assert Task.from_options("cloze", options) == task == Cloze(**vars(task))
    assert task.labels == ("a=b", "c")


@pytest.mark.parametrize(
    ("pattern", "verbalizer", "message"),
    [
        (None, WORDS, "--task=cloze needs --pattern, as"),
        ("{text} it was", WORDS, "must have a [MASK] where the label's word belongs"),
        ("It was [MASK].", WORDS, "must have a slot for the text, {text}, or for both"),
        ("{text_a} [MASK]", WORDS, "must have a slot for the text, {text}, or for both"),
        ("{text} {text} [MASK]", WORDS, "each once"),
        ("{review} [MASK]", WORDS, "must have a slot for the text, {text}, or for both"),
        ("{text} [MASK] [SEP]", WORDS, "by one [SEP], with something on both sides"),
        ("{text} [SEP] a [SEP] [MASK]", WORDS, "by one [SEP], with something on both sides"),
        (PATTERN, {}, "needs --verbalizer with at least two labels"),
        (PATTERN, {"pet": "cat"}, "needs --verbalizer with at least two labels"),
        (PATTERN, {"pet": "cat", "meal": []}, "Label 'meal' has: none."),
        (PATTERN, {"pet": "cat", "meal": [""]}, "Label 'meal' has: ''."),
        (PATTERN, {"pet": "cat", "meal": 3}, "a word or a list of words. Label 'meal' has: 3"),
        (PATTERN, {"pet": "cat", "meal": "cat"}, "'cat' for 'pet' and for 'meal'"),
    ],
)
def test_prompts_that_cannot_be_used(pattern, verbalizer, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Cloze(pattern=pattern, verbalizer=verbalizer)


def test_flags_that_cannot_be_used():
    options = {"pattern": PATTERN, "verbalizer": ["pet=cat", "meal"]}
    with pytest.raises(ValueError, match="label=word or label=word|word, .*Received: 'meal'"):
        Task.from_options("cloze", options)
    options = {"pattern": PATTERN, "verbalizer": ["pet=cat", "pet=dog"]}
    with pytest.raises(ValueError, match="each label once"):
        Task.from_options("cloze", options)
    with pytest.raises(ValueError, match="--labels does not go with --task=cloze"):
        Cloze(pattern=PATTERN, verbalizer=WORDS, labels=("meal", "pet"))
    with pytest.raises(ValueError, match="must be single texts. Received the column 'a' of pairs"):
        Cloze(pattern=PATTERN, verbalizer=WORDS, text_a_column="a", text_b_column="b")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("zebra", "cannot write the word 'zebra' of label 'b': it is [UNK] there"),
        ("cat dog", "a piece for each [MASK] of the pattern, 1. Received for label 'b': 'cat dog'"),
    ],
)
def test_words_that_the_vocabulary_lacks(word, message):
    task = Cloze(pattern=PATTERN, verbalizer={"a": "cow", "b": word})
    with pytest.raises(ValueError, match=re.escape(message)):
        task.for_tokenizer(TOKENIZER)


def test_words_of_two_pieces_want_two_masks():
    task = Cloze(pattern="{text} [MASK] [MASK]", verbalizer={"a": "red cow", "b": "old hen"})
    head = task.for_tokenizer(TOKENIZER).head(toy.encoder_config())
    place = toy.VOCABULARY.index
    assert head.word_ids == [[[place("red"), place("cow")]], [[place("old"), place("hen")]]]


def test_what_does_not_fit(directory, tmp_path):
    task = Cloze(pattern=PATTERN, verbalizer=WORDS)
    pairs = toy.write_rows(tmp_path / "pairs.csv", ["text_a", "text_b", "label"], toy.pairs(3))
    with pytest.raises(ValueError, match="must be single texts. Received the column 'text_a'"):
        task.fit(pairs, bad_rows=BadRows())
    with pytest.raises(ValueError, match="--pattern needs 'text'. There is: 'text_a', 'text_b'"):
        task.example({"text_a": "a", "text_b": "b"})
    other = toy.write_rows(tmp_path / "other.csv", ["text", "label"], [("a cat", "plant")])
    with pytest.raises(ValueError, match="line 2: unknown label 'plant'. Known: 'pet', 'meal'"):
        task.fit(other, bad_rows=BadRows())
    with pytest.raises(ValueError, match="takes 4 tokens, and each text needs one more"):
        rows_of(PATTERN, ["a"], max_length=4)
    plain = toy.write_model_directory(tmp_path / "plain")
    with pytest.raises(ValueError, match="has no head 'mlm', which the task 'cloze' needs"):
        Predictor.load(plain, task="cloze", options={"pattern": PATTERN, "verbalizer": WORDS})
    train = toy.write_rows(tmp_path / "train.csv", ["text", "label"], [("a", "pet"), ("b", "meal")])
    settings = FinetuneSettings(
        task=task,
        tuning=FullTuning(),
        init_from=str(plain),
        train_file=str(train),
        output_dir=str(tmp_path / "tuned"),
        sequence_length=16,
    )
    with pytest.raises(ValueError, match="has no head 'mlm', which the task 'cloze' needs"):
        finetune(settings)
