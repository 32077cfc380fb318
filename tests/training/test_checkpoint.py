import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import training_toy as toy

from keras_bert_suite.training.checkpoint import TrainingCheckpoint, settings_difference

SETTINGS = {"learning_rate": 0.1, "objectives": ["mlm", "nsp"]}


def model_of(one_device, seed=1):
    model = toy.bag_model(one_device, seed=seed)
    with one_device.scope():
        model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def model(one_device):
    return model_of(one_device)


def checkpoint_of(model, directory, **options):
    return TrainingCheckpoint(model, model.optimizer, directory=directory, **options)


def save(checkpoint, *steps):
    for step in steps:
        checkpoint.save(step, data={"row": step * 8}, settings=SETTINGS)


def test_brings_back_weights_moments_and_dropout_seeds(model, one_device, tmp_path):
    variables = [*model.variables, *model.optimizer.variables]
    for index, variable in enumerate(variables):
        variable.assign(np.full(variable.shape, index + 1))
    save(checkpoint_of(model, tmp_path), 7)
    other = model_of(one_device, seed=2)
    state = checkpoint_of(other, tmp_path).restore_newest(settings=SETTINGS)
    assert (state.step, state.data) == (7, {"row": 56})
    for index, variable in enumerate([*other.variables, *other.optimizer.variables]):
        np.testing.assert_array_equal(variable.numpy(), np.full(variable.shape, index + 1))
    seeds = [v.path for v in other.variables if "seed_generator" in v.path]
    assert len(seeds) == 1  # Bag has one dropout: its state is among those compared


def test_keeps_the_newest(model, tmp_path):
    checkpoint = checkpoint_of(model, tmp_path, keep=2)
    save(checkpoint, 1, 2, 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_keeps_the_best_beside_the_newest(model, tmp_path):
    checkpoint = checkpoint_of(model, tmp_path, keep=2)
    for step, best in ((1, 1), (2, 1), (3, 1), (4, 4), (5, 4)):
        best = {"step": best, "loss": 0.5}
        checkpoint.save(step, data={}, settings=SETTINGS, best=best)
        assert checkpoint.steps() == {1: [1], 2: [1, 2], 3: [1, 2, 3]}.get(step, [step - 1, step])
    assert checkpoint.restore_newest(settings=SETTINGS).best == {"step": 4, "loss": 0.5}


def test_damaged_states_that_were_passed_over_do_not_push_out_good_ones(model, tmp_path):
    checkpoint = checkpoint_of(model, tmp_path, keep=1)
    save(checkpoint, 9)
    _flip_a_byte(tmp_path / "step-00000009")
    save(checkpoint, 4)
    assert checkpoint.steps() == [4, 9]
    with pytest.warns(UserWarning, match="step-00000009.*damaged"):
        assert checkpoint.restore_newest(settings=SETTINGS).step == 4


def test_nothing_saved_nothing_restored(model, tmp_path):
    assert checkpoint_of(model, tmp_path / "none").restore_newest(settings=SETTINGS) is None


def _flip_a_byte(folder):
    path = folder / "training.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


def _cut(folder):
    path = folder / "training.index"
    path.write_bytes(path.read_bytes()[:-5])


def _drop_state(folder):
    (folder / "state.json").unlink()


def _break_state(folder):
    (folder / "state.json").write_text("{")


def _change_the_state(folder):
    text = (folder / "state.json").read_text()
    assert '"row": 16' in text
    (folder / "state.json").write_text(text.replace('"row": 16', '"row": 17'))


def _drop_the_data(folder):
    (folder / "training.data-00000-of-00001").unlink()


def _other_format(folder):
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"format": 99}))


@pytest.mark.parametrize(
    "damage",
    [
        _flip_a_byte,
        _cut,
        _drop_the_data,
        _drop_state,
        _break_state,
        _change_the_state,
        _other_format,
    ],
)
def test_a_damaged_newest_gives_the_one_before_with_a_warning(model, tmp_path, damage):
    checkpoint = checkpoint_of(model, tmp_path)
    save(checkpoint, 1, 2)
    damage(tmp_path / "step-00000002")
    with pytest.warns(UserWarning, match="step-00000002.*Trying the state before it"):
        assert checkpoint.restore_newest(settings=SETTINGS).step == 1


def test_all_damaged_is_an_error_not_a_fresh_start(model, tmp_path):
    checkpoint = checkpoint_of(model, tmp_path)
    save(checkpoint, 1)
    _flip_a_byte(tmp_path / "step-00000001")
    with (
        pytest.warns(UserWarning),
        pytest.raises(ValueError, match="None of the 1 training states"),
    ):
        checkpoint.restore_newest(settings=SETTINGS)


def test_changed_settings_are_listed(model, tmp_path):
    checkpoint = checkpoint_of(model, tmp_path)
    save(checkpoint, 1)
    changed = {"learning_rate": 0.2, "seed": 1, "objectives": ("mlm", "nsp")}
    with pytest.raises(ValueError) as error:
        checkpoint.restore_newest(settings=changed)
    assert "learning_rate: 0.1 -> 0.2; seed: (not set) -> 1." in str(error.value)
    assert "objectives" not in str(error.value)  # a tuple is JSON's list
    assert "Remedy: use the old settings to go on, or another output_dir" in str(error.value)


def test_settings_difference():
    old, new = {"a": 1, "b": [1], "c": None}, {"a": 1, "b": [2], "d": "x"}
    assert settings_difference(old, new) == [
        "b: [1] -> [2]",
        "c: null -> (not set)",
        'd: (not set) -> "x"',
    ]


def test_another_model_is_an_error(model, one_device, tmp_path):
    save(checkpoint_of(model, tmp_path), 1)
    bert = toy.tiny_model(one_device)
    with one_device.scope():
        bert.optimizer.build(bert.trainable_variables)
    with pytest.raises(ValueError, match="belongs to another model or optimizer: .* variables"):
        checkpoint_of(bert, tmp_path).restore_newest(settings=SETTINGS)


def test_weights_that_are_not_finite_are_not_saved(one_device, tmp_path):
    model = model_of(one_device)
    checkpoint = checkpoint_of(model, tmp_path)
    save(checkpoint, 1)
    model.classifier.bias.assign([np.nan, 0.0])
    with pytest.raises(ValueError, match="bias is not finite after step 2.*step-00000001.*Remedy"):
        save(checkpoint, 2)
    assert checkpoint.steps() == [1]


def test_what_a_killed_process_left_is_removed(model, tmp_path):
    checkpoint = checkpoint_of(model, tmp_path)
    save(checkpoint, 1)
    (tmp_path / ".step-00000002.abcd.tmp").mkdir()
    assert checkpoint.restore_newest(settings=SETTINGS).step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


def test_other_workers_leave_nothing(model, tmp_path):
    save(checkpoint_of(model, tmp_path, is_chief=False), 1)
    assert list(tmp_path.iterdir()) == []


def test_a_state_can_be_written_over(model, tmp_path):
    checkpoint = checkpoint_of(model, tmp_path)
    save(checkpoint, 1, 1)
    assert checkpoint.restore_newest(settings=SETTINGS).step == 1


def test_keep_must_be_positive(model, tmp_path):
    with pytest.raises(ValueError, match="keep_checkpoints must be at least 1. Received: 0"):
        checkpoint_of(model, tmp_path, keep=0)


def test_tensorflow_finds_the_disk_full(model, tmp_path, monkeypatch):
    checkpoint = checkpoint_of(model, tmp_path)
    save(checkpoint, 1)

    def write(prefix):
        raise tf.errors.ResourceExhaustedError(None, None, f"{prefix}; No space left on device")

    monkeypatch.setattr(checkpoint._checkpoint, "write", write)
    with pytest.raises(OSError, match="Cannot write .*step-00000002: No space left on device"):
        save(checkpoint, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


_WRITE_UNDER_A_LIMIT = """
import sys
sys.path.insert(0, sys.argv[1])
import training_toy as toy
from keras_bert_suite.training.checkpoint import TrainingCheckpoint
from keras_bert_suite.training.strategies import make_strategy
strategy = make_strategy()
model = toy.bag_model(strategy)
with strategy.scope():
    model.optimizer.build(model.trainable_variables)
checkpoint = TrainingCheckpoint(model, model.optimizer, directory=sys.argv[2])
checkpoint.save(2, data={}, settings={})
"""


@pytest.mark.slow
def test_a_real_write_error_leaves_the_earlier_states(model, tmp_path):
    checkpoint = checkpoint_of(model, tmp_path)
    save(checkpoint, 1)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    here = str(Path(toy.__file__).parent)
    command = [sys.executable, "-c", _WRITE_UNDER_A_LIMIT, here, str(tmp_path)]
    run = subprocess.run(
        command, preexec_fn=limit, capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 1
    assert "Cannot write" in run.stderr.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    assert checkpoint.restore_newest(settings=SETTINGS).step == 1
