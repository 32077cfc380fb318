import pytest

from keras_bert_suite.training import strategies


@pytest.mark.parametrize(
    ("name", "num_replicas", "message"),
    [
        ("two_devices", None, "strategy must be one of one_device, mirrored, multi_worker, tpu"),
        ("one_device", 2, "num_replicas belongs to --strategy=mirrored alone"),
        ("mirrored", 0, "num_replicas must be at least 1"),
    ],
)
def test_refuses(name, num_replicas, message):
    with pytest.raises(ValueError, match=message):
        strategies.make_strategy(name, num_replicas=num_replicas)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "Either the environment variable TF_CONFIG on every worker"),
        ("{", "TF_CONFIG must be JSON"),
        ('{"cluster": {}}', "TF_CONFIG must be JSON"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "task.index one of the 1 workers",
        ),
    ],
)
def test_multi_worker_needs_a_whole_tf_config(monkeypatch, config, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=message):
        strategies.make_strategy("multi_worker")


def test_replicas_must_be_asked_for_before_the_first_operation(one_device):
    import tensorflow as tf

    assert tf.constant(1.0).device  # the devices are in use now
    too_many = len(tf.config.list_logical_devices("CPU")) + 1
    with pytest.raises(ValueError, match="before TensorFlow's first operation"):
        strategies.make_strategy("mirrored", num_replicas=too_many)


def test_one_process_is_its_own_chief_and_sum(one_device):
    assert strategies.is_chief(one_device)
    assert strategies.WorkerSum(one_device)([1, 2.5]) == [1.0, 2.5]
