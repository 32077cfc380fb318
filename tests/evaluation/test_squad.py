"""SQuAD's scores, against numbers that the official scripts printed and against hand counts."""

import json

import pytest

from keras_bert_suite.evaluation import squad


def _json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def _gold(path):
    return {
        qa["id"]: [answer["text"] for answer in qa["answers"]]
        for article in _json(path)["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    }


def test_the_official_numbers_of_1_1(kbs_data):
    expected = _json(kbs_data / "expected_squad/expected.json")
    scores = squad.scores_v1(
        _json(kbs_data / "expected_squad/pred_v1.json"),
        _gold(kbs_data / "expected_squad/v1.1_from_half_dev.json"),
    )
    assert scores.pop("total") == 2910
    assert scores == expected["v1.1_from_half_dev.json + pred_v1.json (evaluate-v1.1.py)"]


@pytest.mark.parametrize(
    ("case", "threshold"),
    [
        ("qa_squad2_dev_half/dev-v2.0.json + pred_v2.json (evaluate-v2.0.py)", None),
        ("same + -n na_prob_v2.json -t 1.0", 1.0),
        ("same + -n na_prob_v2.json -t 0.5", 0.5),
    ],
)
def test_the_official_numbers_of_2_0(kbs_data, case, threshold):
    told = {}
    if threshold is not None:
        odds = _json(kbs_data / "expected_squad/na_prob_v2.json")
        told = {"null_odds": odds, "null_threshold": threshold}
    scores = squad.scores_v2(
        _json(kbs_data / "expected_squad/pred_v2.json"),
        _gold(kbs_data / "qa_squad2_dev_half/dev-v2.0.json"),
        **told,
    )
    assert scores == _json(kbs_data / "expected_squad/expected.json")[case]


def test_normalisation():
    assert squad.normalized(" The  Cat's an-a!\tTHEM ") == "cats ana them"
    assert squad.normalized("the") == ""


def test_f1_counts_shared_words_once_each():
    # 2 of the answer's 3 words, 2 of the gold's 4: precision 2/3, recall 1/2.
    assert squad.word_f1("red red fox", "red fox jumps high") == pytest.approx(4 / 7)
    assert squad.word_f1("dog", "cat") == 0.0
    assert squad.word_f1("", "the") == 1.0  # both empty once normalised
    assert squad.word_f1("", "cat") == 0.0


GOLD = {"a": ["one", "the one"], "b": [], "c": ["two three"]}


def test_1_1_counts_a_question_without_answer_as_wrong():
    gold = {"a": ["one"], "b": ["two"]}
    assert squad.scores_v1({"a": "One."}, gold) == {"exact_match": 50.0, "f1": 50.0, "total": 2}
    assert squad.scores_v1({"a": "the"}, {"a": ["a"]})["f1"] == 0.0


def test_the_threshold_takes_answers_away():
    answers, odds = {"a": "one", "b": "x", "c": "three"}, {"a": 0.1, "b": 0.9, "c": 0.5}
    all_kept = squad.scores_v2(answers, GOLD)
    assert (all_kept["exact"], all_kept["NoAns_exact"]) == (100 / 3, 0.0)
    assert all_kept["HasAns_f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    some = squad.scores_v2(answers, GOLD, null_odds=odds, null_threshold=0.6)
    assert (some["NoAns_exact"], some["best_exact"], some["best_exact_thresh"]) == (
        100,
        200 / 3,
        0.1,
    )
    assert (some["best_f1"], some["best_f1_thresh"]) == (pytest.approx(100 * (2 + 2 / 3) / 3), 0.5)


def test_answering_nothing_can_be_best():
    best = squad.best_null_threshold(
        {"a": "x"}, {"a": []}, {"a": 0.0}, null_odds={"a": -7.0}, lowest=-8.0
    )
    assert best == (100.0, -8.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: squad.scores_v1({}, {}), "There are no questions"),
        (lambda: squad.scores_v1({"b": ""}, {"b": []}), "every question.*none for 'b'"),
        (lambda: squad.scores_v2({"a": ""}, GOLD), "its answer. Missing: 2 of 3, the first: 'b'"),
        (
            lambda: squad.scores_v2(dict.fromkeys("abc", ""), GOLD, null_odds={}),
            "its null odds. Missing: 3 of 3",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
