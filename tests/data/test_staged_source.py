import numpy as np
import pytest
import training_toy as toy

from keras_bert_suite.data.staged_source import StagedSource


def sources():
    made = [toy.RandomSource(global_batch_size=rows, seed=rows) for rows in (8, 4, 2)]
    for one in made:
        one.files = ["records"]
    return made


@pytest.fixture
def staged():
    return StagedSource(sources(), num_steps=[3, 2, 1])


def take(source, step, count, **options):
    batches = source.batches(step, **options).take(count).as_numpy_iterator()
    return [batch["token_ids"] for batch in batches]


def expected(first, last):
    one, two, three = sources()
    places = [(one, 0), (one, 1), (one, 2), (two, 0), (two, 1), (three, 0), (three, 1), (three, 2)]
    return [source.rows(step)["token_ids"] for source, step in places[first:last]]


@pytest.mark.parametrize("first", range(8))
def test_every_step_begins_where_the_whole_run_would_be(staged, first):
    for state in (None, staged.state(first)):
        found = take(staged, first, 8 - first, state=state)
        for one, other in zip(found, expected(first, 8), strict=True):
            np.testing.assert_array_equal(one, other)


def test_replicas_share_the_rows_of_every_stage(staged):
    halves = take(staged, 2, 6, replicas_per_pipeline=2)
    for step, rows in enumerate(expected(2, 5)):
        np.testing.assert_array_equal(np.concatenate(halves[2 * step : 2 * step + 2]), rows)


def test_pipelines_share_the_rows_of_every_stage(staged):
    parts = [take(staged, 0, 8, pipeline=index, num_pipelines=2) for index in range(2)]
    for one, other, rows in zip(*parts, expected(0, 8), strict=True):
        np.testing.assert_array_equal(np.concatenate([one, other]), rows)


def test_a_state_of_another_plan_is_refused(staged):
    other = StagedSource(sources(), num_steps=[1, 2, 1])
    with pytest.raises(ValueError, match="another plan of stages. Received: stage 1; step 2 lies"):
        staged.batches(2, state=other.state(2))
