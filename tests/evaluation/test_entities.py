"""Entity scores: conlleval's own output to the last character, and its reading of broken tags."""

import json
import re

import pytest

from keras_bert_suite.evaluation.entities import (
    Entity,
    conlleval_text,
    entities,
    entity_scores,
)


def sentences(path):
    """(gold, predicted) tags of a conlleval input file."""
    gold, predicted = [[]], [[]]
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            gold.append([])
            predicted.append([])
            continue
        columns = line.split()
        gold[-1].append(columns[-2])
        predicted[-1].append(columns[-1])
    return gold, predicted


def test_every_printed_digit_is_conlleval_s(kbs_data):
    folder = kbs_data / "expected_conlleval"
    expected = json.loads((folder / "expected_conlleval.json").read_text())
    present = {name: text for name, text in expected.items() if (folder / name).exists()}
    assert len(present) >= 4
    for name, text in present.items():
        assert conlleval_text(entity_scores(*sentences(folder / name))) == text, name


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O", []),
        ("B-a I-a O", [(0, 2, "a")]),
        ("I-a I-a O", [(0, 2, "a")]),  # an entity that begins with I
        ("O I-a B-a", [(1, 2, "a"), (2, 3, "a")]),  # IOB1
        ("B-a I-b I-b", [(0, 1, "a"), (1, 3, "b")]),  # the type changes inside
        ("B-a B-a", [(0, 1, "a"), (1, 2, "a")]),
        ("S-a S-a B-a E-a B-a I-a E-a", [(0, 1, "a"), (1, 2, "a"), (2, 4, "a"), (4, 7, "a")]),
        ("U-a B-a L-a I-a", [(0, 1, "a"), (1, 3, "a"), (3, 4, "a")]),
        ("E-a E-a O E-a", [(0, 1, "a"), (1, 2, "a"), (3, 4, "a")]),
        ("B-creative-work I-creative-work", [(0, 2, "creative-work")]),
        ("B I O B", [(0, 2, ""), (3, 4, "")]),  # one type without a name
        ("NN PRP$ -LRB- .", [(2, 3, "LRB-")]),
    ],
)
def test_entities_as_conlleval_reads_them(tags, expected):
    assert entities(tags.split()) == [Entity(*one) for one in expected]


def test_counts_by_hand():
    scores = entity_scores(
        [["B-a", "I-a", "O", "B-b"], ["B-a"]], [["B-a", "I-a", "B-b", "I-b"], ["O"]]
    )
    assert (scores.num_tokens, scores.num_correct_tags) == (5, 2)
    a, b = scores.types["a"], scores.types["b"]
    assert (a.gold, a.found, a.correct, a.precision, a.recall) == (2, 1, 1, 1.0, 0.5)
    assert a.f1 == pytest.approx(2 / 3)
    assert (b.gold, b.found, b.correct, b.precision, b.recall, b.f1) == (1, 1, 0, 0.0, 0.0, 0.0)
    assert (scores.overall.gold, scores.overall.found, scores.overall.correct) == (3, 2, 1)
    assert scores.overall.f1 == pytest.approx(0.4)
    assert scores.accuracy == 0.4


def test_sentences_are_never_run_together():
    """Across the border the two would be one entity."""
    scores = entity_scores([["B-a"], ["I-a"]], [["B-a"], ["O"]])
    assert (scores.overall.gold, scores.overall.correct) == (2, 1)


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([["O"]], [], "as many sentences. Received: 1 and 0."),
        ([["O"], ["O"]], [["O"], ["O", "O"]], "Received in sentence 2: 1 and 2."),
        ([[]], [[]], "There are no words to score."),
    ],
)
def test_what_cannot_be_compared(gold, predicted, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        entity_scores(gold, predicted)
