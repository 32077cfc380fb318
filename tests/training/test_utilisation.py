import pytest

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.training.clusters import Cluster
from keras_bert_suite.training.utilisation import Utilisation, measured_flops, run_peak

CONFIG = EncoderConfig(
    vocab_size=100, hidden_size=8, num_layers=3, num_heads=2, intermediate_size=20, max_positions=9
)


def test_counts_by_hand():
    utilisation = Utilisation(CONFIG, peak_flops=1e6)
    # A layer: 4 * 64 + 2 * 160 = 576 weights. The head: 64 + 800.
    assert utilisation.flops_per_token == 6 * 3 * 576
    assert utilisation.flops_per_prediction == 6 * 864
    share = utilisation(tokens=100, predictions=10, seconds=2.0)
    assert share == pytest.approx((100 * 10_368 + 10 * 5_184) / 2.0 / 1e6)


def test_a_factorised_embedding_is_projected_for_every_token():
    utilisation = Utilisation(
        CONFIG.replace(family="albert", share_layers=True, embedding_size=4), peak_flops=1.0
    )
    assert utilisation.flops_per_token == 6 * (3 * 576 + 32)
    assert utilisation.flops_per_prediction == 6 * (32 + 400)


def test_base_has_about_the_flops_of_its_85_million_weights_a_token():
    base = Utilisation(EncoderConfig.from_name("base", vocab_size=30522), peak_flops=1.0)
    assert base.flops_per_token == 6 * 84_934_656


def test_the_peak_of_a_run(one_device):
    cluster = Cluster(("a:1", "b:1", "c:1"), 0, "")
    peak = run_peak(one_device, cluster=cluster, dtype="float32", device_flops=2e9)
    assert peak == 6e9  # three machines
    measured = run_peak(one_device, cluster=None, dtype="float32", device_flops=None)
    assert 1e8 < measured < 1e15


def test_the_measured_rate_takes_little_time():
    assert measured_flops("bfloat16", side=64, seconds=0.01) > 1e6
