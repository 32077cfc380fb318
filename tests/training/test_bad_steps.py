import json

import numpy as np
import pytest
import training_toy as toy

from keras_bert_suite.training.trainer import Trainer

NAN = float("nan")


def trainer_of(one_device, directory, *, poison, model=None, **options):
    return Trainer(
        model=model or toy.bag_model(one_device, guard_updates=True, ema=0.9, spike_factor=4.0),
        source=toy.RandomSource(poison=poison),
        strategy=one_device,
        output_dir=directory,
        **{"num_steps": 24, "quiet": True, "log_every": 4, "checkpoint_every": 6, **options},
    )


@pytest.fixture(scope="module")
def whole(one_device, tmp_path_factory):
    """A run with a loss that is no number at step 3 and a spike at step 20."""
    directory = tmp_path_factory.mktemp("whole")
    trainer = trainer_of(one_device, directory, poison={3: NAN, 20: 100.0})
    return trainer, trainer.run(), directory


def test_bad_steps_are_skipped_counted_and_logged(whole):
    trainer, result, directory = whole
    assert result.step == 24
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    assert [line["skipped_steps"] for line in lines] == [1, 1, 1, 1, 1, 2]
    assert max(line["loss"] for line in lines) < 2  # a good loss is about ln 2
    assert int(trainer.model.optimizer.iterations) == 22


def test_a_resumed_run_counts_on_and_ends_with_the_same_bits(whole, one_device, tmp_path):
    poison = {3: NAN, 20: 100.0}

    class Killed(Exception):
        pass

    def die(step):
        raise Killed

    with pytest.raises(Killed):
        trainer_of(one_device, tmp_path, poison=poison, evaluate=die, evaluate_every=15).run()
    resumed = trainer_of(one_device, tmp_path, poison=poison, evaluate_every=15)
    counts = [record["skipped_steps"] for record in resumed.run().history]
    assert counts == [record["skipped_steps"] for record in whole[1].history]
    for a, b in zip(_everything(resumed), _everything(whole[0]), strict=True):
        np.testing.assert_array_equal(a, b)


def _everything(trainer):
    model = trainer.model
    variables = [*model.variables, *model.optimizer.variables, *model.update_guard.variables]
    return [variable.numpy() for variable in variables]


def test_too_many_stop_the_run_with_the_last_good_state(one_device, tmp_path):
    poison = {step: NAN for step in (2, 7, 8, 9)}
    model = toy.bag_model(one_device, guard_updates=True)
    options = {"poison": poison, "max_bad_steps": 2, "steps_per_call": 1}
    with pytest.raises(ValueError, match="3 steps were skipped.*max_bad_steps allows 2") as error:
        trainer_of(one_device, tmp_path, model=model, **options).run()
    newest = tmp_path / "checkpoints" / "step-00000009"
    assert str(newest) in str(error.value) and newest.is_dir()
    assert all(np.isfinite(value).all() for value in toy.weights_of(model))
    # The same command stops at once; a higher limit goes on, with the count so far.
    model = toy.bag_model(one_device, guard_updates=True)
    with pytest.raises(ValueError, match="3 steps were skipped.*Remedy: a lower learning_rate"):
        trainer_of(one_device, tmp_path, model=model, **options).run()
    model = toy.bag_model(one_device, guard_updates=True)
    result = trainer_of(one_device, tmp_path, model=model, **{**options, "max_bad_steps": 4}).run()
    assert result.history[-1]["skipped_steps"] == 4


def test_a_skip_is_told_to_the_person(one_device, tmp_path, capsys):
    trainer_of(one_device, tmp_path, poison={1: NAN}, num_steps=4, quiet=False).run()
    assert "1 of the steps up to 4 skipped" in capsys.readouterr().err


def test_refuses(one_device, tmp_path):
    with pytest.raises(ValueError, match="max_bad_steps must not be negative. Received: -1"):
        trainer_of(one_device, tmp_path, poison={}, max_bad_steps=-1)
    with pytest.raises(ValueError, match="compiled with guard_updates=True"):
        trainer_of(
            one_device, tmp_path, poison={}, max_bad_steps=1, model=toy.bag_model(one_device)
        )
