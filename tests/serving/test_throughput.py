"""Measuring a server: what the numbers are made of."""

from __future__ import annotations

import time

import pytest

from keras_bert_suite.serving import saved_model, throughput
from keras_bert_suite.serving.throughput import Measured, Report


def test_the_tables():
    one = Measured(clients=4, rows=8, rate=85.0, p50=0.0125, p99=0.25)
    report = Report(
        start_seconds=4.25,
        offline_rate=100.0,
        offline_p50=0.010,
        single=Measured(clients=1, rows=1, rate=90.0, p50=0.011, p99=0.02),
        settings=[one],
    )
    lines = report.markdown().splitlines()
    assert lines[2] == "| 4.2 s | 10.00 ms | 11.00 ms | +10.0% |"
    assert lines[4] == "Graph alone in batches of 32: 100 texts/s."
    assert lines[-1] == "| 4 | 8 | 85 | 85% | 12.5 ms | 250.0 ms |"


def test_a_rate_counts_texts_and_not_requests():
    calls = []
    measured = throughput.ask(calls.append, ["a", "b", "c"], clients=2, rows=2, seconds=0.2)
    assert len(set(calls)) == 1  # the third text alone is no full request
    # Nothing but our own loop, warm-up and the end included.
    assert 0 < measured.rate <= 2 * len(calls) / 0.2
    assert 0 <= measured.p50 <= measured.p99 < 0.2


def test_a_failed_request_is_no_measurement():
    def call(payload):
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError, match="refused"):
        throughput.ask(call, ["a"], clients=2, rows=1, seconds=0.1)


def test_a_measurement_that_is_too_short():
    expected = "No request began within the 0.1 s .* measure for more seconds"
    with pytest.raises(ValueError, match=expected):
        throughput.ask(lambda payload: time.sleep(0.3), ["a"], clients=1, rows=1, seconds=0.1)


def test_no_version_and_no_texts(tmp_path):
    with pytest.raises(ValueError, match="must have a version, and there must be texts"):
        throughput.measure(tmp_path, tmp_path, ["a"])


@pytest.mark.slow
def test_a_tiny_model(tiny_models, tmp_path, capsys):
    model_dir = tiny_models.write_classifier(tmp_path / "model")
    saved_model.export_model(model_dir, tmp_path / "base")
    (tmp_path / "texts.txt").write_text("the quick fox\n\nit rains\nlazy dog\n" * 20)
    (tmp_path / "batching.config").write_text("max_batch_size { value: 16 }")
    throughput.main(
        [
            f"--model_dir={tmp_path / 'model'}",
            f"--export_dir={tmp_path / 'base'}",
            f"--text={tmp_path / 'texts.txt'}",
            f"--batching_parameters_file={tmp_path / 'batching.config'}",
            *("--clients", "1", "3", "--rows", "2", "--seconds", "0.5"),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[:2] for line in lines[-2:]] == [["| 1", "2"], ["| 3", "2"]]

    tiny_models.write_pair_classifier(tmp_path / "pair")
    saved_model.export_model(tmp_path / "pair", tmp_path / "pairs")
    with pytest.raises(ValueError, match="must take one text. It takes: text_a, text_b"):
        throughput.measure(tmp_path / "pair", tmp_path / "pairs", ["a"])
