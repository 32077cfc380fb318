import keras
import pytest

from keras_bert_suite.training.schedules import WarmupDecay


def test_rises_to_the_peak_and_falls_to_zero():
    schedule = WarmupDecay(0.8, num_steps=10, warmup_steps=4)
    rates = [float(schedule(step)) for step in range(12)]
    # Rise by 0.8 / 4 a step; then 6 steps down from the peak by 0.8 / 6; 0 from step 10 on.
    by_hand = [0.2, 0.4, 0.6, 0.8, 0.8, 0.8 * 5 / 6, 0.8 * 4 / 6, 0.4, 0.8 * 2 / 6, 0.8 / 6, 0, 0]
    assert rates == pytest.approx(by_hand, abs=1e-7)


def test_without_warmup_starts_at_the_peak():
    schedule = WarmupDecay(1.0, num_steps=4)
    assert [float(schedule(step)) for step in range(5)] == pytest.approx([1, 0.75, 0.5, 0.25, 0])


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({"decay": "polynomial"}, [1, 0.75**0.5, 0.5**0.5, 0.5, 0, 0]),
        ({"decay": "polynomial", "power": 2.0}, [1, 0.5625, 0.25, 0.0625, 0, 0]),
        # (1 + cos(pi k / 4)) / 2
        ({"decay": "cosine"}, [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0, 0]),
        ({"decay": "constant"}, [1, 1, 1, 1, 1, 1]),
    ],
)
def test_decays_after_the_warmup(options, shares):
    schedule = WarmupDecay(0.5, num_steps=6, warmup_steps=2, **options)
    rates = [float(schedule(step)) for step in range(8)]
    assert rates == pytest.approx([0.25, 0.5, *(0.5 * share for share in shares)], abs=1e-7)


def test_config_round_trip():
    schedule = WarmupDecay(0.8, num_steps=10, warmup_steps=4, decay="polynomial", power=2.0)
    optimizer = keras.optimizers.Adam(schedule)
    back = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))._learning_rate
    assert isinstance(back, WarmupDecay)
    assert back.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"peak_learning_rate": 0.0, "num_steps": 3}, "learning_rate must be greater than 0"),
        ({"peak_learning_rate": 1.0, "num_steps": 0}, "num_steps must be at least 1"),
        (
            {"peak_learning_rate": 1.0, "num_steps": 3, "warmup_steps": 3},
            r"warmup_steps must be in \[0, num_steps\).*warmup_steps=3, num_steps=3",
        ),
        (
            {"peak_learning_rate": 1.0, "num_steps": 3, "decay": "exponential"},
            "schedule must be one of linear, polynomial, cosine, constant. Received: 'exponential'",
        ),
        (
            {"peak_learning_rate": 1.0, "num_steps": 3, "decay": "polynomial", "power": 0.0},
            "schedule_power must be greater than 0. Received: 0.0",
        ),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        WarmupDecay(**arguments)
