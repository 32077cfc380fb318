"""Order and positions over epochs and groups."""

import itertools

import numpy as np
import pytest
from token_corpora import VOCABULARY, random_documents, write_shards

from keras_bert_suite.data.documents import expand_files
from keras_bert_suite.data.shard_groups import Position, ShardGroups
from keras_bert_suite.data.single_segments import doc_sentences


def _plan(records, seed):
    return doc_sentences(records, sequence_length=32, seed=seed, short_fraction=0.1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shards")
    pattern = write_shards(directory, random_documents(40), num_shards=6)
    (directory / "train-99999-of-99999.tfrecord").touch()
    return expand_files(pattern)


def _groups(files, **options):
    options = {"seed": 3, "group_bytes": 2500, **options}
    return ShardGroups(files, vocab_size=len(VOCABULARY), make_plan=_plan, **options)


def test_every_epoch_holds_every_shard_once_in_another_order(files):
    groups = _groups(files)
    epochs = [groups.groups_of(epoch) for epoch in range(4)]
    for epoch in epochs:
        assert len(epoch) == 3 and all(epoch)
        # The empty shard is left out.
        assert sorted(itertools.chain(*epoch)) == files[:-1]
    assert epochs[0] != epochs[1] and epochs == [_groups(files).groups_of(e) for e in range(4)]
    assert _groups(files, seed=4).groups_of(0) != epochs[0]
    assert list(itertools.chain(*_groups(files, shuffle=False).groups_of(5))) == files[:-1]
    assert len(_groups(files, group_bytes=10**9).groups_of(0)) == 1
    assert len(_groups(files, group_bytes=1).groups_of(0)) == 6


def test_runs_walk_every_example_of_an_epoch_once(files):
    groups = _groups(files)
    counts = [groups.count(0, group) for group in range(3)]
    batches = itertools.islice(groups.runs(Position(), 7), -(-sum(counts) // 7))
    seen = [(id(g), int(e)) for batch in batches for g, part in batch for e in part]
    first_epoch = seen[: sum(counts)]
    assert len(set(first_epoch)) == sum(counts)


def test_advance_equals_walking(files):
    groups = _groups(files)
    walked = groups.runs(Position(), 5)
    for step in range(60):
        position = _groups(files).advance(Position(), 5 * step) if step % 20 == 19 else None
        position = position or groups.advance(Position(), 5 * step)
        expected, found = next(walked), next(groups.runs(position, 5))
        for (group, examples), (other, others) in zip(expected, found, strict=True):
            np.testing.assert_array_equal(examples, others)
            np.testing.assert_array_equal(group.keys, other.keys)
    assert position.epoch >= 1


def test_keys_differ_by_seed_epoch_group_and_example(files):
    groups = _groups(files)
    keys = [groups.load(epoch, group).keys for epoch in range(2) for group in range(3)]
    keys.append(_groups(files, seed=4).load(0, 0).keys)
    joined = np.concatenate(keys)
    assert len(np.unique(joined)) == len(joined)


def test_positions_are_json():
    position = Position(2, 1, 7)
    assert position.to_json() == {"epoch": 2, "group": 1, "offset": 7}
    assert Position.from_json({"epoch": 2, "group": 1, "offset": 7, "more": 1}) == position
    for wrong in ({"epoch": 1}, {"epoch": "x", "group": 0, "offset": 0}, 3):
        with pytest.raises(ValueError, match="must have the integers epoch, group and offset"):
            Position.from_json(wrong)
    with pytest.raises(ValueError, match="must not be negative"):
        Position.from_json({"epoch": 0, "group": -1, "offset": 0})


def test_a_group_that_is_not_there_is_an_error(files):
    with pytest.raises(ValueError, match="names group 9 of epoch 0, which has 3"):
        _groups(files).load(0, 9)


def test_empty_shards_alone_are_an_error(files):
    with pytest.raises(ValueError, match="The shards hold no record. Received: 1 empty files"):
        _groups(files[-1:])
