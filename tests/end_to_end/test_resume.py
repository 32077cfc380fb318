"""kill -9 and SIGTERM during bin/pretrain.py: the same command ends with the same bits."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import tiny_corpus

STEPS = 400  # enough that no process is done before its signal comes


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    tiny_corpus.make_corpus(directory)
    return directory


def start(corpus, output, **changes):
    changes = {"num_steps": STEPS, **changes}
    settings = tiny_corpus.settings_of(corpus, output_dir=str(output), log_every=50, **changes)
    return subprocess.Popen(
        [sys.executable, "-m", "keras_bert_suite.bin.pretrain", *tiny_corpus.flags_of(settings)],
        cwd="/",  # the checkout, were it the working directory, would hide the installed package
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def states(output):
    return sorted(path.name for path in (output / "checkpoints").glob("step-*"))


def stop_at_a_random_moment(process, output, number, *, seed, within=0.3):
    """Sends the signal at most `within` seconds after the process has saved its first state."""
    before = states(output)
    while states(output) == before:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    time.sleep(random.Random(seed).random() * within)
    process.send_signal(number)
    text, _ = process.communicate(timeout=600)
    return text


def finish(process):
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    return text


def trained(output):
    """What must be equal: the model, and the whole training state behind it."""
    state = output / "checkpoints" / states(output)[-1] / "training.data-00000-of-00001"
    return (output / "model.safetensors").read_bytes(), state.read_bytes()


def check(corpus, directory, *, kills, within=0.3, **changes):
    whole, broken = directory / "whole", directory / "broken"
    uninterrupted = start(corpus, whole, **changes)
    for seed in range(kills):
        process = start(corpus, broken, **changes)
        stop_at_a_random_moment(process, broken, signal.SIGKILL, seed=seed, within=within)
        assert process.returncode == -signal.SIGKILL
        assert not (broken / "model.safetensors").exists()
    text = finish(start(corpus, broken, **changes))
    assert "resumed from" in text
    finish(uninterrupted)
    assert states(broken) == states(whole)
    assert trained(broken) == trained(whole)


@pytest.mark.slow
def test_kill_9_on_one_device(corpus, tmp_path):
    check(corpus, tmp_path, kills=1)


@pytest.mark.slow
def test_kill_9_three_times_on_one_device(corpus, tmp_path):
    check(corpus, tmp_path, kills=3, masking="whole_word")


@pytest.mark.slow
def test_kill_9_at_10_random_moments_with_all_options(corpus, tmp_path):
    check(
        corpus,
        tmp_path,
        kills=10,
        within=1.5,
        num_steps=6_000,
        checkpoint_every=40,
        optimizer="lamb",
        schedule="polynomial",
        ema=0.99,
        masking="span",
        sequence_length=128,
        stages="16:0.5,32:0.5",
        rematerialize=True,
        spike_factor=3.0,
        eval_every=1_000,
        keep_best=True,
        final_model="best",
    )


@pytest.mark.slow
def test_kill_9_on_two_replicas(corpus, tmp_path):
    check(corpus, tmp_path, kills=2, strategy="mirrored", ema=0.9)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_saves_the_state_and_tells_how_to_go_on(corpus, tmp_path, number):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    uninterrupted = start(corpus, whole)
    process = start(corpus, broken, checkpoint_every=50)
    text = stop_at_a_random_moment(process, broken, number, seed=5)
    assert process.returncode == 128 + number, text
    assert f"{signal.Signals(number).name}: stopping" in text
    assert "Next: the same command goes on from there." in text
    newest = states(broken)[-1]
    assert f"the state is saved in {os.path.join(broken, 'checkpoints', newest)}" in text
    finish(start(corpus, broken, checkpoint_every=50))
    finish(uninterrupted)
    assert trained(broken) == trained(whole)
