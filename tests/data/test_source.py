"""The split of a global batch over pipelines and replicas."""

import pytest

from keras_bert_suite.data.source import replica_batch_size


def test_an_even_split():
    sizes = {"num_pipelines": 2, "replicas_per_pipeline": 3}
    assert replica_batch_size(24, pipeline=1, **sizes) == 4


@pytest.mark.parametrize(
    ("size", "pipeline", "pipelines", "replicas", "message"),
    [
        (10, 0, 2, 2, "for 2 \\* 2 = 4 replicas. Remedy: choose global_batch_size=8"),
        (1, 0, 1, 2, "Remedy: choose global_batch_size=2"),
        (0, 0, 1, 1, "must be a positive multiple"),
        (8, 2, 2, 1, "pipeline must be in .*pipeline=2, num_pipelines=2"),
        (8, 0, 0, 1, "must be at least 1. Received: num_pipelines=0"),
        (8, 0, 1, 0, "replicas_per_pipeline=0"),
    ],
)
def test_an_uneven_or_impossible_split_is_an_error(size, pipeline, pipelines, replicas, message):
    with pytest.raises(ValueError, match=message):
        replica_batch_size(
            size,
            pipeline=pipeline,
            num_pipelines=pipelines,
            replicas_per_pipeline=replicas,
        )
