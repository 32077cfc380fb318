import json
import os
import signal

import numpy as np
import pytest
import tensorflow as tf
import training_toy as toy

from keras_bert_suite.training.trainer import Trainer


def trainer_of(one_device, directory, *, model=None, **options):
    return Trainer(
        model=model or toy.bag_model(one_device),
        source=toy.RandomSource(),
        strategy=one_device,
        output_dir=directory,
        **{"num_steps": 6, "quiet": True, "log_every": 2, **options},
    )


def assert_same_weights(one, other):
    for a, b in zip(toy.weights_of(one), toy.weights_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def whole(one_device, tmp_path_factory):
    """An uninterrupted run: (trainer, result, directory)."""
    directory = tmp_path_factory.mktemp("whole")
    trainer = trainer_of(one_device, directory)
    return trainer, trainer.run(), directory


def test_trains_logs_and_leaves_a_state(whole):
    _, result, directory = whole
    assert (result.step, result.interrupted, result.exit_status) == (6, None, 0)
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    assert lines == result.history
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert {"loss", "bag_loss", "learning_rate", "tokens_per_second", "padding_share"} <= {
        *lines[0]
    }
    assert lines[0]["loss"] == pytest.approx(lines[0]["bag_loss"])
    # 2 of 20 steps done, no warm-up: the next update has 18 / 20 of the peak.
    assert lines[0]["learning_rate"] == pytest.approx(1e-2 * 18 / 20)
    assert [p.name for p in (directory / "checkpoints").iterdir()] == ["step-00000006"]
    assert list((directory / "logs" / "train").glob("events*"))


def test_counts_padding_and_tokens(whole):
    _, result, _ = whole
    real = sum(toy.RandomSource().rows(step)["padding_mask"].sum() for step in (0, 1))
    assert result.history[0]["padding_share"] == pytest.approx(1 - real / (2 * 8 * toy.LENGTH))
    assert result.tokens_per_second > 0


def test_the_step_count_of_a_call_changes_nothing(whole, one_device, tmp_path):
    trainer = trainer_of(one_device, tmp_path, steps_per_call=1)
    trainer.run()
    assert_same_weights(trainer.model, whole[0].model)


def test_a_finished_run_stays_as_it_is(whole, one_device):
    trainer, first, directory = whole
    again = trainer_of(one_device, directory)
    result = again.run()
    assert result.step == 6 and result.history == first.history
    assert_same_weights(again.model, trainer.model)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_state_and_the_run_goes_on_bitwise(
    number, whole, one_device, tmp_path, capsys
):
    def stop(step):
        os.kill(os.getpid(), number)

    options = {"evaluate_every": 3, "quiet": False}
    result = trainer_of(one_device, tmp_path, evaluate=stop, **options).run()
    assert (result.step, result.interrupted) == (4, number)  # the call after step 3 is step 4's
    assert result.exit_status == 128 + number
    assert "step-00000004. The same command goes on from there." in capsys.readouterr().err
    assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)
    assert "4 of 6 steps, not finished" in (tmp_path / "report.html").read_text()
    resumed = trainer_of(one_device, tmp_path, **options)
    assert resumed.run().step == 6
    assert_same_weights(resumed.model, whole[0].model)


def test_resume_after_a_loss_of_the_last_steps_repeats_them(whole, one_device, tmp_path):
    class Killed(Exception):
        pass

    def die(step):
        raise Killed

    options = {"checkpoint_every": 3, "evaluate_every": 5}
    with pytest.raises(Killed):
        trainer_of(one_device, tmp_path, evaluate=die, **options).run()
    resumed = trainer_of(one_device, tmp_path, **options)
    result = resumed.run()
    assert_same_weights(resumed.model, whole[0].model)
    assert [r["step"] for r in result.history] == [2, 4, 6]  # step 4 was logged twice, stands once


def test_evaluates_when_due(one_device, tmp_path):
    result = trainer_of(
        one_device,
        tmp_path,
        evaluate=lambda step: {"score": step / 10} if step > 2 else None,
        evaluate_every=2,
    ).run()
    evaluations = [r for r in result.history if r["kind"] == "eval"]
    assert evaluations == [
        {"step": 4, "kind": "eval", "score": 0.4},
        {"step": 6, "kind": "eval", "score": 0.6},
    ]


def test_keeps_the_state_with_the_lowest_held_out_loss(one_device, tmp_path):
    losses = {2: 0.9, 4: 0.5, 6: 0.7, 8: 0.6}
    weights = {}

    def evaluate(step):
        weights[step] = toy.weights_of(model)
        return {"bag_loss": losses[step], "bag_accuracy": 0.0}

    options = {
        "evaluate": evaluate,
        "evaluate_every": 2,
        "keep_best": True,
        "keep_checkpoints": 1,
        "num_steps": 8,
    }
    model = toy.bag_model(one_device)
    trainer = trainer_of(one_device, tmp_path, model=model, **options)
    assert trainer.run().best_step == 4
    assert trainer.checkpoint.steps() == [4, 8]
    # A run that finds the end done knows the best all the same.
    model = toy.bag_model(one_device)
    again = trainer_of(one_device, tmp_path, model=model, **options)
    assert again.run().best_step == 4
    assert again.restore_best() == 4
    for one, other in zip(toy.weights_of(model), weights[4], strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_a_finite_loss_nothing_is_the_best(one_device, tmp_path):
    options = {"evaluate": lambda step: {"bag_loss": np.nan}, "keep_best": True, "num_steps": 1}
    trainer = trainer_of(one_device, tmp_path, **options)
    assert trainer.run().best_step is None
    with pytest.raises(ValueError, match="no evaluation gave a finite held-out loss. Remedy"):
        trainer.restore_best()


def test_the_best_so_far_survives_an_interruption(one_device, tmp_path):
    class Killed(Exception):
        pass

    losses = {2: 0.5, 4: 0.7, 6: 0.6}

    def evaluate(step):
        if step == 4 and not survived:
            raise Killed
        return {"bag_loss": losses[step]}

    options = {"evaluate": evaluate, "evaluate_every": 2, "keep_best": True}
    survived = False
    with pytest.raises(Killed):
        trainer_of(one_device, tmp_path, **options).run()
    survived = True
    assert trainer_of(one_device, tmp_path, **options).run().best_step == 2


def test_stops_when_the_loss_is_not_finite(one_device, tmp_path):
    model = toy.bag_model(one_device)

    def poison(step):
        model.classifier.bias.assign([np.nan, 0.0])

    trainer = trainer_of(
        one_device, tmp_path, model=model, evaluate=poison, evaluate_every=4, checkpoint_every=3
    )
    with pytest.raises(
        ValueError, match="The loss is nan.*step 6.*step-00000003.*lower learning_rate"
    ):
        trainer.run()


def test_changed_settings_stop_the_run(one_device, tmp_path):
    trainer_of(one_device, tmp_path, settings={"seed": 1}, num_steps=1).run()
    with pytest.raises(ValueError, match="seed: 1 -> 2"):
        trainer_of(one_device, tmp_path, settings={"seed": 2}, num_steps=1).run()


@pytest.mark.parametrize("name", ["num_steps", "steps_per_call", "log_every", "checkpoint_every"])
def test_counts_must_be_positive(one_device, tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1. Received: {name}=0"):
        trainer_of(one_device, tmp_path, **{name: 0})


def test_model_and_optimizer_must_live_in_the_scope(one_device, tmp_path):
    model = toy.bag_model(tf.distribute.get_strategy())
    with pytest.raises(ValueError, match="outside the strategy's scope"):
        trainer_of(one_device, tmp_path, model=model)


LOSS_CHECK_STEPS = 12


@pytest.fixture(scope="module")
def float32_losses(one_device, tmp_path_factory):
    return _losses(one_device, tmp_path_factory.mktemp("float32"))


def _losses(one_device, directory, **options):
    model = toy.tiny_model(one_device, num_steps=LOSS_CHECK_STEPS, num_layers=1, **options)
    trainer = trainer_of(
        one_device, directory, model=model, num_steps=LOSS_CHECK_STEPS, log_every=4
    )
    return [record["loss"] for record in trainer.run().history]


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"precision": "bfloat16"}, 0.05),  # 8 bits of mantissa: 0.4 % a number
        ({"precision": "float16"}, 0.02),
        pytest.param({"jit_compile": True}, 1e-3, marks=pytest.mark.slow),
    ],
)
def test_precisions_and_xla_train_alike(one_device, tmp_path, float32_losses, options, tolerance):
    losses = _losses(one_device, tmp_path, **options)
    assert losses[-1] < losses[0] - 0.5
    np.testing.assert_allclose(losses, float32_losses, atol=tolerance)


def test_an_error_in_the_data_keeps_its_own_words(one_device, tmp_path):
    class Damaged(toy.RandomSource):
        def rows(self, step):
            if step == 4:
                raise ValueError("train-00000.tfrecord: record 7 is damaged")
            return super().rows(step)

    trainer = trainer_of(one_device, tmp_path)
    trainer.source = Damaged()
    with pytest.raises(ValueError, match="^train-00000.tfrecord: record 7 is damaged$"):
        trainer.run()
