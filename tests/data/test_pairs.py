"""Plans of rows: pairs that follow or do not, nothing lost from the pool, an even share."""

import numpy as np
import pytest
from token_corpora import VOCABULARY, random_documents, write_shards

from keras_bert_suite.data import pairs
from keras_bert_suite.data.pairs import segment_pairs
from keras_bert_suite.data.records import read_shards


def _records(tmp_path, documents):
    write_shards(tmp_path, documents)
    return read_shards([str(next(tmp_path.iterdir()))], vocab_size=len(VOCABULARY))


def _document_of(records, position):
    sentence = np.searchsorted(records.sentence_starts, position, side="right") - 1
    record = np.searchsorted(records.record_starts, sentence, side="right") - 1
    return records.document_ids[record]


def test_true_pairs_follow_and_random_pairs_are_from_another_document(tmp_path):
    # Every document in two records of the same identity.
    documents = [d for d in random_documents(100) for _ in range(2)]
    records = _records(tmp_path, documents)
    plan = segment_pairs(records, sequence_length=256, seed=1, short_fraction=0.1)
    starts, capacity = set(records.sentence_starts.tolist()), 253
    assert len(plan) > 150
    for a, a_end, b, b_end, label in zip(
        plan.a_starts, plan.a_ends, plan.b_starts, plan.b_ends, plan.labels["nsp"], strict=True
    ):
        assert a < a_end and b < b_end and a_end - a + b_end - b <= capacity
        own, other = _document_of(records, a), _document_of(records, b)
        assert (own != other) == label
        assert _document_of(records, a_end - 1) == own
        assert _document_of(records, b_end - 1) == other
        # No row here needs truncation: segments are whole sentences.
        if a_end - a + b_end - b < capacity:
            assert {a, a_end, b, b_end} <= starts
            assert label or b == a_end


def test_every_sentence_is_used_once_beside_its_random_uses(tmp_path):
    # Sentences of at most 6 tokens never fill a row beyond its capacity of 29 by two segments.
    records = _records(tmp_path, random_documents(80, sentences=(1, 30), tokens=(1, 6)))
    plan = segment_pairs(records, sequence_length=64, seed=2, short_fraction=0.0)
    used = np.zeros(len(records.tokens), int)
    lost = 0
    for a, a_end, b, b_end, label in zip(
        plan.a_starts, plan.a_ends, plan.b_starts, plan.b_ends, plan.labels["nsp"], strict=True
    ):
        used[a:a_end] += 1
        if not label:
            used[b:b_end] += 1
        lost += a_end - a + b_end - b == 61
    # What truncation took is missing, nothing comes twice.
    assert used.max() == 1
    assert (used == 0).sum() <= lost * 12


@pytest.mark.parametrize("sentences", [(1, 12), (2, 60)])
def test_random_pairs_are_one_half(tmp_path, sentences):
    # With 1 to 12 sentences many documents end in a single one, which forces a random pair.
    records = _records(tmp_path, random_documents(2000, sentences=sentences))
    plan = segment_pairs(records, sequence_length=64, seed=3, short_fraction=0.1)
    # More than 4,000 pairs: standard deviation below 0.8 points.
    assert len(plan) > 4000
    assert abs(plan.label_share("nsp") - 0.5) < 0.02


def test_short_rows_are_one_in_ten(tmp_path):
    records = _records(tmp_path, random_documents(60, sentences=(600, 600), tokens=(1, 5)))
    plan = segment_pairs(records, sequence_length=64, seed=4, short_fraction=0.1)
    lengths = plan.a_ends - plan.a_starts + plan.b_ends - plan.b_starts
    # More than 2,000 rows. A target of 2..61 is uniform: 7 in 10 of the short tenth are below 45,
    # and a few rows end with their document (about one in 30).
    assert len(plan) > 2000
    assert 0.055 < np.mean(lengths < 45) < 0.12
    full = segment_pairs(records, sequence_length=64, seed=4, short_fraction=0.0)
    lengths = full.a_ends - full.a_starts + full.b_ends - full.b_starts
    assert np.mean(lengths < 45) < 0.04


def test_two_documents_of_one_sentence_are_paired_with_each_other(tmp_path):
    records = _records(tmp_path, [(1, [[5, 6]]), (2, [[7, 8, 9]])])
    plan = segment_pairs(records, sequence_length=16, seed=0, short_fraction=0.0)
    assert plan.a_starts.tolist() == [0, 2] and plan.a_ends.tolist() == [2, 5]
    assert plan.b_starts.tolist() == [2, 0] and plan.b_ends.tolist() == [5, 2]
    assert plan.labels["nsp"].tolist() == [1, 1]


def test_one_other_document_among_many_records_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "_MAX_DRAWS", 2)
    records = _records(tmp_path, [(1, [[5, 6]])] * 200 + [(2, [[7]])])
    plan = segment_pairs(records, sequence_length=16, seed=0, short_fraction=0.0)
    assert plan.b_starts[:200].tolist() == [400] * 200


def test_one_document_alone_cannot_make_pairs(tmp_path):
    records = _records(tmp_path, [(1, [[5, 6], [7]]), (1, [[8]])])
    with pytest.raises(
        ValueError, match="at least two different documents.*without the objective nsp"
    ):
        segment_pairs(records, sequence_length=16, seed=0, short_fraction=0.0)


@pytest.mark.parametrize("objectives", [("sop",), ("nsp", "sop")])
def test_documents_of_one_sentence_have_no_order(tmp_path, objectives):
    records = _records(tmp_path, [(1, [[5, 6]]), (2, [[7]])])
    with pytest.raises(
        ValueError, match="at least two sentences.*2 documents of one.*without the objective sop"
    ):
        segment_pairs(
            records, sequence_length=16, seed=0, short_fraction=0.0, objectives=objectives
        )


def test_truncation_takes_from_the_longer_side_at_both_ends():
    # 10 + 4 tokens in 6: A gives 6 to be even (4 + 4), then each gives one.
    # 3 + 9 in 11: B gives one. 4 + 4 in 7 and a tie: B gives one, as in the original.
    # 2 + 2 fit.
    starts = np.array([100, 0, 0, 0])
    lengths = np.array([[10, 3, 4, 2], [4, 9, 4, 2]])
    for capacity, rows in ((6, [0]), (11, [1]), (7, [2]), (4, [3])):
        results = set()
        for seed in range(200):
            a, a_end, b, b_end = (
                column[0]
                for column in pairs._truncated(
                    starts[rows],
                    starts[rows] + lengths[0][rows],
                    starts[rows] + 50,
                    starts[rows] + 50 + lengths[1][rows],
                    capacity=capacity,
                    seed=seed,
                )
            )
            assert starts[rows] <= a < a_end <= starts[rows] + lengths[0][rows]
            results.add((int(a_end - a), int(b_end - b), int(a - starts[rows[0]])))
        fronts = {front for *_, front in results}
        sizes = {result[:2] for result in results}
        expected = {6: (3, 3), 11: (3, 8), 7: (4, 3), 4: (2, 2)}[capacity]
        assert sizes == {expected}
        # Seven tokens go from the front of A in 0..7 cases, mostly in the middle.
        assert fronts >= {2, 3, 4, 5} if capacity == 6 else fronts == {0}


def test_sentence_order_is_swapped_in_one_half(tmp_path):
    records = _records(tmp_path, random_documents(400, sentences=(1, 30)))
    plan = segment_pairs(
        records, sequence_length=96, seed=3, short_fraction=0.2, objectives=("mlm", "sop")
    )
    starts = set(records.sentence_starts.tolist())
    lone = 0
    for a, a_end, b, b_end, label in zip(
        plan.a_starts, plan.a_ends, plan.b_starts, plan.b_ends, plan.labels["sop"], strict=True
    ):
        if b == b_end:  # one sentence, which cannot be cut
            assert label == -1 and a_end in starts
            lone += 1
            continue
        first, first_end, second, second_end = (
            (b, b_end, a, a_end) if label else (a, a_end, b, b_end)
        )
        assert _document_of(records, first) == _document_of(records, second_end - 1)
        assert first < first_end <= second < second_end
        if a_end - a + b_end - b < 93:  # nothing was truncated
            assert first_end == second and {first, second, second_end} <= starts
    # More than 700 pairs: standard deviation 1.9 points.
    assert lone > 10 and len(plan) - lone > 700
    assert abs(plan.label_share("sop") - 0.5) < 0.06
    assert list(plan.labels) == ["sop"]


def test_with_both_objectives_every_pair_asks_one(tmp_path):
    records = _records(tmp_path, random_documents(1000, sentences=(1, 20)))
    plan = segment_pairs(
        records, sequence_length=64, seed=3, short_fraction=0.1, objectives=("mlm", "nsp", "sop")
    )
    nsp, sop = plan.labels["nsp"], plan.labels["sop"]
    assert ((nsp == -1) != (sop == -1)).all()
    # More than 2,500 pairs; those that cannot be cut are asked for the next sentence.
    assert 0.40 < np.mean(sop >= 0) < 0.5
    assert abs(plan.label_share("sop") - 0.5) < 0.05
    assert abs(plan.label_share("nsp") - 0.5) < 0.05


def test_without_an_objective_of_pairs_the_second_segment_follows(tmp_path):
    # One document is enough.
    records = _records(tmp_path, [(1, [[5, 6], [7], [8, 9]])])
    plan = segment_pairs(
        records, sequence_length=16, seed=0, short_fraction=0.0, objectives=("mlm",)
    )
    assert plan.a_ends.tolist() == plan.b_starts.tolist() and plan.b_ends.tolist() == [5]
    assert not plan.labels
