"""The tokenizer against Google's vectors, against plain Python on random Unicode, and by hand."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.text.tokenizer import Tokenized, Tokenizer
from keras_bert_suite.text.vocabulary import read_vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "cafe", "un", "##aff", "##able", "[", "]", "mask", "i", "力", "!", "a"]
VOCABULARY = SPECIAL + WORDS


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(VOCABULARY)


@pytest.fixture(scope="module", params=["uncased", "cased"])
def google(request, kbs_data):
    """(tokenizer, rows): rows of (text, expected) by google-research/bert."""
    vocabulary = read_vocabulary(kbs_data / "vocab" / f"bert-base-{request.param}-vocab.txt")
    path = kbs_data / "expected_tokenization" / "vectors.jsonl"
    rows = [json.loads(line) for line in path.open(encoding="utf-8")]
    assert len(rows) > 250
    tokenizer = Tokenizer(vocabulary, lowercase=request.param == "uncased")
    return tokenizer, [(row["text"], row[request.param]) for row in rows]


def test_every_row_of_google(google):
    tokenizer, rows = google
    results = tokenizer.tokenize([text for text, _ in rows])
    for (text, expected), result in zip(rows, results, strict=True):
        assert result.tokens == expected["tokens"], text
        assert result.ids == expected["ids"], text
        if "hf_offsets" in expected:
            assert [list(offset) for offset in result.offsets] == expected["hf_offsets"]


def test_ids_alone_and_with_offsets_agree_on_every_row(google):
    tokenizer, rows = google
    ids = tokenizer.ragged_ids(tf.constant([text for text, _ in rows])).to_list()
    assert ids == [expected["ids"] for _, expected in rows]


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (1, {}),
        (2, {}),
        (3, {"lowercase": False}),
        (4, {"lowercase": False, "strip_accents": True}),
        (5, {"lowercase": True, "strip_accents": False}),
        (6, {"split_cjk": False}),
        (7, {"lowercase": False, "split_cjk": False}),
    ],
)
def test_random_unicode_equals_plain_python(seed, options, random_cases, reference_tokenizer):
    texts, vocabulary = random_cases(seed, 300)
    tokenizer = Tokenizer(vocabulary, **options)
    reference = reference_tokenizer(vocabulary, **options)
    ids = tokenizer.ragged_ids(tf.constant(texts)).to_list()
    known = 0
    for text, row, result in zip(texts, ids, tokenizer.tokenize(texts), strict=True):
        tokens, offsets = reference(text)
        assert result.tokens == tokens, ascii(text)
        assert result.offsets == offsets, ascii(text)
        assert row == result.ids, ascii(text)
        known += sum(token != "[UNK]" for token in tokens)
    assert known > 2000  # or the test would compare [UNK] with [UNK]


def test_bytes_that_are_not_utf8_are_left_out_and_count_as_one_character(
    random_cases, reference_tokenizer
):
    generator = random.Random(8)
    texts, vocabulary = random_cases(8, 200)
    broken = []
    for text in texts:
        data = bytearray(text.encode())
        for _ in range(generator.randint(1, 4)):
            place = generator.randint(0, len(data))
            if generator.random() < 0.5:
                data[place:place] = generator.choice(
                    [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4"]
                )
            else:
                del data[place : place + 1]
        broken.append(bytes(data))
    tokenizer, reference = Tokenizer(vocabulary), reference_tokenizer(vocabulary)
    ids = tokenizer.ragged_ids(tf.constant(broken)).to_list()
    for data, row, result in zip(broken, ids, tokenizer.tokenize(broken), strict=True):
        assert (result.tokens, result.offsets) == reference(data), data
        assert row == result.ids


def test_words_and_offsets_by_hand(tokenizer):
    assert tokenizer.tokenize(["The unaffable  CAFÉ!", "", "cafe\u0301力a"]) == [
        Tokenized(
            ["the", "un", "##aff", "##able", "cafe", "!"],
            [5, 7, 8, 9, 6, 15],
            [(0, 3), (4, 6), (6, 9), (9, 13), (15, 19), (19, 20)],
        ),
        Tokenized([], [], []),
        # The combining accent (character 4) belongs to no piece.
        Tokenized(["cafe", "力", "a"], [6, 14, 16], [(0, 4), (5, 6), (6, 7)]),
    ]


def test_special_tokens_in_a_text_are_text(tokenizer):
    (result,) = tokenizer.tokenize(["[MASK] the"])
    assert result.tokens == ["[", "mask", "]", "the"]
    assert tokenizer.mask_id not in tokenizer(["[MASK]"])["token_ids"]


def test_final_sigma_and_dotted_capital_i_as_in_python():
    tokenizer = Tokenizer([*SPECIAL, "ας", "σας", "ασα", "i", "##σ"])
    (result,) = tokenizer.tokenize(["ΑΣ ΣΑΣ ΑΣΑ İ ΑΣ."])
    assert result.tokens == ["ας", "σας", "ασα", "i", "ας", "[UNK]"]


@pytest.mark.parametrize("letter", ["a", "é", "ก", "𐐨"])
def test_a_word_has_at_most_200_characters(letter):
    tokenizer = Tokenizer([*SPECIAL, letter, "##" + letter, "the"], lowercase=False)
    lengths = [199, 200, 201, 400, 4000, 1]
    texts = [f"the {letter * length} the" for length in lengths]
    results = tokenizer.tokenize(texts)
    for length, result in zip(lengths, results, strict=True):
        if length <= 200:
            assert result.tokens == ["the", letter, *["##" + letter] * (length - 1), "the"]
        else:
            assert result.tokens == ["the", "[UNK]", "the"]
            assert result.offsets[1:] == [(4, 4 + length), (5 + length, 8 + length)]
    assert tokenizer.ragged_ids(tf.constant(texts)).to_list() == [r.ids for r in results]


def test_half_a_surrogate_pair_is_left_out_and_keeps_its_place(tokenizer):
    (result,) = tokenizer.tokenize(["the\ud83d cafe"])
    assert result.tokens == ["the", "cafe"]
    assert result.offsets == [(0, 3), (5, 9)]


def test_no_texts_and_only_white_space(tokenizer):
    assert tokenizer.tokenize([]) == []
    assert tokenizer.tokenize([" \t\n\u3000"]) == [Tokenized([], [], [])]
    batch = tokenizer([])
    assert {name: (value.dtype, value.shape[0]) for name, value in batch.items()} == {
        name: (np.int32, 0) for name in ("token_ids", "segment_ids", "padding_mask")
    }
    assert tokenizer([" "])["token_ids"].tolist() == [[2, 3]]


def test_call_packs_texts_and_pairs(tokenizer):
    batch = tokenizer(["the cafe", "a"], ["a a a", "the"], max_length=7)
    # Budget 4 for (2, 3) pieces: half each.
    assert batch["token_ids"].tolist() == [
        [2, 5, 6, 3, 16, 16, 3],
        [2, 16, 3, 5, 3, 0, 0],
    ]
    assert batch["segment_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]
    assert batch["padding_mask"].tolist() == [[1] * 7, [1] * 5 + [0] * 2]
    assert all(value.dtype == np.int32 for value in batch.values())
    assert isinstance(batch["token_ids"], np.ndarray)


def test_tensors_give_tensors_in_and_out_of_a_graph(tokenizer):
    texts = ["the cafe", "unaffable"]
    expected = tokenizer(texts)
    eager = tokenizer(tf.constant(texts))
    assert tf.is_tensor(eager["token_ids"])
    in_data = next(iter(tf.data.Dataset.from_tensors(texts).map(tokenizer)))
    for name, value in expected.items():
        np.testing.assert_array_equal(value, eager[name])
        np.testing.assert_array_equal(value, in_data[name])
        assert in_data[name].dtype == tf.int32


def test_detokenize_joins_pieces_and_leaves_out_what_frames_them(tokenizer):
    ids = tokenizer(["the unaffable [UNK]", "a"])["token_ids"]
    assert tokenizer.detokenize(ids) == ["the unaffable [ [UNK] ]", "a"]
    assert tokenizer.detokenize(tf.ragged.constant([[5, 4], []])) == ["the [MASK]", ""]
    assert tokenizer.detokenize([[5], [6, 16]]) == ["the", "cafe a"]


def test_detokenize_wants_rows_of_ids_in_the_vocabulary(tokenizer):
    with pytest.raises(ValueError, match=r"rows of ids; for one row write \[row\]"):
        tokenizer.detokenize([5, 6])
    with pytest.raises(ValueError, match=r"Ids must be in \[0, 17\). Got: 17"):
        tokenizer.detokenize([[17]])


def test_attributes(tokenizer):
    assert tokenizer.vocabulary == tuple(VOCABULARY)
    assert tokenizer.vocab_size == 17
    assert tokenizer.special_ids == (0, 1, 2, 3, 4)
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id) == (0, 1, 2)
    assert (tokenizer.sep_id, tokenizer.mask_id) == (3, 4)
    assert np.flatnonzero(tokenizer.continuation).tolist() == [8, 9]
    assert tokenizer.continuation.dtype == np.bool_


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t("one text"), r"texts must be a list of texts.*\[text\].*'one text'"),
        (lambda t: t.tokenize("one text"), r"texts must be a list of texts"),
        (lambda t: t(["a"], "b"), r"pairs must be a list of texts"),
        (lambda t: t(["a", None]), r"list of str or bytes. Got at index 1: None"),
        (lambda t: t([["a"]]), r"list of str or bytes. Got at index 0: \['a'\]"),
        (lambda t: t(["a", "b"], ["c"]), r"equally many. Got: 2 texts and 1 pairs"),
        (lambda t: t(tf.constant([1])), r"texts must be strings. Got a tensor of int32"),
        (lambda t: t(tf.constant("a")), r"texts must be a tensor \[batch\]. Got the shape \(\);"),
        (lambda t: t(tf.ragged.constant([["a"], []])), r"flat_values of a ragged tensor"),
        (lambda t: t(["a"], max_length=2), r"greater than 2.*Got: 2"),
        (lambda t: t(["a"], ["b"], max_length=3), r"greater than 3.*Got: 3"),
    ],
)
def test_wrong_arguments_are_explained(tokenizer, call, message):
    with pytest.raises(ValueError, match=message):
        call(tokenizer)


@pytest.mark.parametrize("method", ["ragged_ids", "ragged_ids_and_offsets"])
def test_ranks_other_than_one_are_errors_even_when_known_late(tokenizer, method):
    function = tf.function(getattr(tokenizer, method)).get_concrete_function(
        tf.TensorSpec(None, tf.string)
    )
    for wrong in (tf.constant("scalar"), tf.constant([["a"], ["b"]])):
        with pytest.raises(tf.errors.InvalidArgumentError):
            function(wrong)
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
            getattr(tokenizer, method)(wrong)


def test_constructor_checks_its_vocabulary():
    with pytest.raises(ValueError, match="the vocabulary has no \\[MASK\\]"):
        Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    with pytest.raises(ValueError, match="from_directory. Got: 'model/'"):
        Tokenizer("model/")


_LOAD = """
import sys, json
import tensorflow as tf, tensorflow_text
assert "keras_bert_suite" not in sys.modules
model = tf.saved_model.load(sys.argv[1])
texts = json.load(open(sys.argv[2]))
result = model.signatures["serving_default"](text=tf.constant(texts))
offsets = model.signatures["offsets"](text=tf.constant(texts))
empty = model.signatures["serving_default"](text=tf.constant([], tf.string))
print(json.dumps([result["token_ids"].numpy().tolist(), offsets["starts"].numpy().tolist(),
                  offsets["ends"].numpy().tolist(), empty["token_ids"].shape.as_list()]))
"""


def test_saved_model_runs_where_the_package_is_not_in_any_locale(
    tmp_path, random_cases, reference_tokenizer
):
    texts, vocabulary = random_cases(11, 60)
    texts += ["INDIA ΑΣ İ", "É\u0301"]
    vocabulary = list(dict.fromkeys([*vocabulary, *"india", *("##" + c for c in "india")]))
    tokenizer = Tokenizer(vocabulary)
    module = tf.Module()
    spec = tf.TensorSpec([None], tf.string, name="text")

    @tf.function(input_signature=[spec])
    def serve(text):
        return tokenizer(text, max_length=64)

    @tf.function(input_signature=[spec])
    def offsets(text):
        _, starts, ends = tokenizer.ragged_ids_and_offsets(text)
        return {"starts": starts.to_tensor(-1), "ends": ends.to_tensor(-1)}

    tf.saved_model.save(
        module, tmp_path / "first", signatures={"serving_default": serve, "offsets": offsets}
    )
    (tmp_path / "first").rename(tmp_path / "moved")
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    # Turkish lower-cases I to a dotless i, if one lets it.
    environment = {**os.environ, "LC_ALL": "tr_TR.UTF-8", "TF_CPP_MIN_LOG_LEVEL": "3"}
    output = subprocess.run(
        [sys.executable, "-c", _LOAD, tmp_path / "moved", tmp_path / "texts.json"],
        env=environment,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    token_ids, starts, ends, empty = json.loads(output)
    assert token_ids == tokenizer(texts, max_length=64)["token_ids"].tolist()
    assert empty == [0, 0]
    reference = reference_tokenizer(vocabulary)
    for text, *row in zip(texts, starts, ends, strict=True):
        found = [pair for pair in zip(*row, strict=True) if pair != (-1, -1)]
        assert found == reference(text)[1], ascii(text)


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["tr_TR.UTF-8", "lt_LT.UTF-8"])
def test_the_locale_of_the_process_changes_nothing(locale):
    words = ["i", "##\u0307", "i\u0307", "\u0131", "ì", "##n"]
    code = (
        "from keras_bert_suite.text.tokenizer import Tokenizer\n"
        "for strip in (None, False):\n"
        f"  t = Tokenizer({SPECIAL + words!a}, strip_accents=strip)\n"
        "  print([r.tokens for r in t.tokenize(['I \\u0130 IN', '\\u00cc \\u0131'])])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output.splitlines() == [
        str([["i", "i", "i", "##n"], ["i", "\u0131"]]),
        str([["i", "i\u0307", "i", "##n"], ["ì", "\u0131"]]),
    ]
