"""Batches in length buckets: each row once an epoch, the same for any number of replicas."""

import itertools

import numpy as np
import pytest

from keras_bert_suite.data.bucketing import BucketedSource, RaggedFeatures, evaluation_batches


def features(num_rows=23, *, longest=40, seed=0):
    """Row r has lengths[r] tokens, each 100 + r, and label r."""
    lengths = np.random.default_rng(seed).integers(1, longest + 1, num_rows).astype(np.int32)
    rows = np.arange(num_rows, dtype=np.int32)
    return RaggedFeatures(
        tokens={
            "token_ids": np.repeat(100 + rows, lengths),
            "segment_ids": np.repeat(rows % 2, lengths),
        },
        lengths=lengths,
        rows={"label_ids": rows},
        pad_values={"token_ids": 9},
    )


def take(source, count, *, step=0, **options):
    dataset = source.batches(step, **options)
    return [{k: v.numpy() for k, v in batch.items()} for batch in dataset.take(count)]


def test_a_batch_by_hand():
    three = RaggedFeatures(
        tokens={"token_ids": np.array([1, 2, 3, 4, 5, 6], np.int32)},
        lengths=np.array([1, 3, 2]),
        rows={"label_ids": np.array([7, 8, 9], np.int32)},
        pad_values={"token_ids": -1},
    )
    batch = three.batch(np.array([2, 1]))
    assert batch["token_ids"].tolist() == [[5, 6, -1], [2, 3, 4]]
    assert batch["padding_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["label_ids"].tolist() == [9, 8]
    assert three.batch(np.array([0]), length=2)["token_ids"].tolist() == [[1, -1]]


@pytest.mark.parametrize("size", [4, 23, 30])
def test_each_row_once_an_epoch_in_another_order(size):
    source = BucketedSource(features(), global_batch_size=size, seed=3, window_batches=2)
    seen = []
    for epoch in range(3):
        plan = source.epoch_plan(epoch)
        assert plan.shape == (source.steps_per_epoch, size)
        assert sorted(plan[plan >= 0]) == list(range(23))
        assert (plan[:-1] >= 0).all()  # rows run out in the last step alone
        seen.append(plan.tolist())
    if size < 23:
        assert seen[0] != seen[1] != seen[2]


def test_fillers_are_real_rows_of_weight_zero():
    source = BucketedSource(features(), global_batch_size=10, seed=0)
    batches = take(source, 3)
    assert [batch["example_weights"].sum() for batch in batches] == [10, 10, 3]
    last = batches[-1]
    shortest = last["padding_mask"].sum(1).argmin()
    for row in np.flatnonzero(last["example_weights"] == 0):
        assert last["label_ids"][row] == last["label_ids"][shortest]
        np.testing.assert_array_equal(last["token_ids"][row], last["token_ids"][shortest])


def test_values_stay_with_their_row_and_padding_is_padding():
    for batch in take(BucketedSource(features(), global_batch_size=5, seed=1), 10):
        real = batch["padding_mask"] > 0
        expected = 100 + batch["label_ids"][:, None]
        assert (np.where(real, batch["token_ids"], expected) == expected).all()
        assert (batch["token_ids"][~real] == 9).all()
        assert (batch["segment_ids"][~real] == 0).all()
        assert real.sum(1).max() == real.shape[1]  # padded to the longest row, no further
        lengths = features().lengths[batch["label_ids"]]
        np.testing.assert_array_equal(real.sum(1), lengths)


def test_buckets_spare_most_of_the_padding():
    many = features(2000, longest=100)
    source = BucketedSource(many, global_batch_size=20, seed=0)
    masks = [batch["padding_mask"] for batch in take(source, 100)]
    padding = 1 - sum(m.sum() for m in masks) / sum(m.size for m in masks)
    assert padding < 0.03  # in random batches of 20 it would be near a half
    lengths = np.array([m.shape[1] for m in masks])
    # Batches of all lengths alternate: neighbours differ as much as in a shuffled list.
    assert np.abs(np.diff(lengths)).mean() > 20


def test_batches_are_a_function_of_the_step():
    source = BucketedSource(features(), global_batch_size=4, seed=0)
    whole = take(source, 15)
    for step in (0, 1, 5, 6, 13):  # 6 steps an epoch
        for a, b in zip(take(source, 15 - step, step=step), whole[step:], strict=True):
            for key in a:
                np.testing.assert_array_equal(a[key], b[key])
    other = take(BucketedSource(features(), global_batch_size=4, seed=1), 1)[0]
    assert other["label_ids"].tolist() != whole[0]["label_ids"].tolist()


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 2), (2, 1), (2, 2), (4, 1)])
def test_rows_are_the_same_for_any_number_of_replicas(pipelines, replicas):
    source = BucketedSource(features(), global_batch_size=8, seed=0)
    whole = take(source, 6)
    parts = [
        take(
            source,
            6 * replicas,
            pipeline=pipeline,
            num_pipelines=pipelines,
            replicas_per_pipeline=replicas,
        )
        for pipeline in range(pipelines)
    ]
    for step, batch in enumerate(whole):
        local = [part[step * replicas : (step + 1) * replicas] for part in parts]
        joined = list(itertools.chain(*local))
        for key in ("label_ids", "example_weights"):
            np.testing.assert_array_equal(np.concatenate([j[key] for j in joined]), batch[key])


def test_state_tells_other_rows():
    source = BucketedSource(features(), global_batch_size=4, seed=0)
    assert take(source, 1, step=3, state=source.state(3))
    other = BucketedSource(features(seed=1), global_batch_size=4, seed=0)
    with pytest.raises(ValueError, match="belongs to other training rows .*Remedy: give the file"):
        source.batches(3, state=other.state(3))


def test_padded_lengths():
    source = BucketedSource(features(), global_batch_size=4, seed=0, padded_lengths=[48, 8, 16, 32])
    lengths = {batch["token_ids"].shape[1] for batch in take(source, 12)}
    assert lengths <= {8, 16, 32, 48} and len(lengths) > 1
    with pytest.raises(
        ValueError, match=r"must reach the longest row, \d+ tokens. Received: \[8\]"
    ):
        BucketedSource(features(), global_batch_size=4, seed=0, padded_lengths=[8])


@pytest.mark.parametrize("size", [1, 4, 50])
def test_evaluation_batches_restore_the_order(size):
    dataset, places = evaluation_batches(features(), batch_size=size)
    batches = list(dataset.as_numpy_iterator())
    lengths = [batch["padding_mask"].sum(1) for batch in batches]
    assert (np.diff(np.concatenate(lengths)) <= 0).all()  # longest first
    labels = np.concatenate([batch["label_ids"] for batch in batches])
    assert labels[places].tolist() == list(range(23))


def test_wrong_features_and_counts():
    with pytest.raises(ValueError, match="at least one row and one token in each row"):
        RaggedFeatures(tokens={}, lengths=np.array([2, 0]))
    with pytest.raises(ValueError, match="at least one row"):
        RaggedFeatures(tokens={}, lengths=np.array([], np.int32))
    with pytest.raises(ValueError, match=r"2 rows with 3 tokens .*Received: {'token_ids': \(4,\)}"):
        RaggedFeatures(tokens={"token_ids": np.zeros(4)}, lengths=np.array([2, 1]))
    with pytest.raises(ValueError, match="at least 1. Received: global_batch_size=0"):
        BucketedSource(features(), global_batch_size=0, seed=0)
    with pytest.raises(ValueError, match="multiple of the number of replicas"):
        BucketedSource(features(), global_batch_size=5, seed=0).batches(0, replicas_per_pipeline=2)


def test_fingerprints_differ_with_any_value():
    prints = {features().fingerprint, features(seed=1).fingerprint}
    changed = features()
    changed.rows["label_ids"][3] = 0
    prints.add(changed.fingerprint)
    assert len(prints) == 3
    assert features().fingerprint == features().fingerprint
