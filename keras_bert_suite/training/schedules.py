"""Learning rates as functions of the optimizer step."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import tensorflow as tf

# By name: the share of the peak, from the share of the decay that is still to come (1 -> 0).
_DECAYS: dict[str, Callable[[tf.Tensor, float], tf.Tensor]] = {
    "linear": lambda left, power: left,
    "polynomial": lambda left, power: left**power,
    "cosine": lambda left, power: 0.5 * (1.0 - tf.cos(math.pi * left)),
    "constant": lambda left, power: tf.ones_like(left),
}
SCHEDULES = tuple(_DECAYS)
# NVIDIA's recipe of LAMB (DeepLearningExamples, LanguageModeling/BERT).
DEFAULT_POWER = 0.5


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to the peak, then falls until the last step.

    The rate of optimizer step s (the update that follows s earlier ones) is

        peak * (s + 1) / warmup_steps      for s < warmup_steps,
        peak * d(left)                     afterwards,

    with left = (num_steps - s) / (num_steps - warmup_steps), never below 0, and d(left) = left
    (linear), left ** power (polynomial), (1 - cos(pi left)) / 2 (cosine) or 1 (constant).

    The first update is therefore not wasted on a rate of 0, the peak is reached at step
    `warmup_steps - 1` and held at `warmup_steps`, and the last update has a small positive rate.
    Keras counts optimizer steps, so gradient accumulation does not change the schedule; a step
    that is skipped (float16 loss scaling, a gradient that is not finite) does not count.

    Args:
      peak_learning_rate: float > 0, the highest rate.
      num_steps: optimizer steps of the whole run.
      warmup_steps: optimizer steps of the rise, in [0, num_steps).
      decay: "linear", "polynomial", "cosine" or "constant".
      power: float > 0, the exponent of the polynomial.

    Raises:
      ValueError: a number outside these ranges, or an unknown decay.

    Source: Devlin et al. 2018, arXiv:1810.04805, appendix A.2. Google's code jumps from the end of
    the warm-up to a decay that started at step 0; this one is continuous. The polynomial is that of
    You et al. 2019, arXiv:1904.00962, section 4; the cosine is Loshchilov & Hutter's,
    arXiv:1608.03983, without restarts.
    """

    def __init__(
        self,
        peak_learning_rate: float,
        *,
        num_steps: int,
        warmup_steps: int = 0,
        decay: str = "linear",
        power: float = DEFAULT_POWER,
    ):
        super().__init__()
        if not peak_learning_rate > 0:
            raise ValueError(
                f"learning_rate must be greater than 0. Received: {peak_learning_rate}."
            )
        if num_steps < 1:
            raise ValueError(f"num_steps must be at least 1. Received: num_steps={num_steps}.")
        if not 0 <= warmup_steps < num_steps:
            raise ValueError(
                "warmup_steps must be in [0, num_steps). Received: "
                f"warmup_steps={warmup_steps}, num_steps={num_steps}. "
                "Remedy: a tenth of num_steps is usual."
            )
        if decay not in SCHEDULES:
            raise ValueError(
                f"schedule must be one of {', '.join(SCHEDULES)}. Received: {decay!r}."
            )
        if not power > 0:
            raise ValueError(f"schedule_power must be greater than 0. Received: {power}.")
        self.peak_learning_rate = float(peak_learning_rate)
        self.num_steps = int(num_steps)
        self.warmup_steps = int(warmup_steps)
        self.decay = decay
        self.power = float(power)

    def __call__(self, step):
        """Gives the float32 scalar rate of integer scalar `step`."""
        step = tf.cast(step, tf.float32)
        rise = (step + 1.0) / max(self.warmup_steps, 1)
        left = (self.num_steps - step) / float(self.num_steps - self.warmup_steps)
        fall = _DECAYS[self.decay](tf.clip_by_value(left, 0.0, 1.0), self.power)
        return self.peak_learning_rate * tf.where(step < self.warmup_steps, rise, fall)

    def get_config(self):
        return {
            "peak_learning_rate": self.peak_learning_rate,
            "num_steps": self.num_steps,
            "warmup_steps": self.warmup_steps,
            "decay": self.decay,
            "power": self.power,
        }
