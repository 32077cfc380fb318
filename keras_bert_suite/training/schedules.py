"""Learning rates as functions of the optimizer step."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class LinearWarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to the peak, then falls linearly to 0 at the last step.

    The rate of optimizer step s (the update that follows s earlier ones) is

        peak * (s + 1) / warmup_steps                              for s < warmup_steps,
        peak * (num_steps - s) / (num_steps - warmup_steps)        afterwards, never below 0.

    The first update is therefore not wasted on a rate of 0, the peak is reached at step
    `warmup_steps - 1` and held at `warmup_steps`, and the last update has a small positive rate.
    Keras counts optimizer steps, so gradient accumulation does not change the schedule; a step
    that float16 loss scaling skips does not count.

    Args:
      peak_learning_rate: float > 0, the highest rate.
      num_steps: optimizer steps of the whole run.
      warmup_steps: optimizer steps of the rise, in [0, num_steps).

    Raises:
      ValueError: a number outside these ranges.

    Source: Devlin et al. 2018, arXiv:1810.04805, appendix A.2. Google's code jumps from the end of
    the warm-up to a decay that started at step 0; this one is continuous.
    """

    def __init__(self, peak_learning_rate: float, *, num_steps: int, warmup_steps: int = 0):
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
        self.peak_learning_rate = float(peak_learning_rate)
        self.num_steps = int(num_steps)
        self.warmup_steps = int(warmup_steps)

    def __call__(self, step):
        """Gives the float32 scalar rate of integer scalar `step`."""
        step = tf.cast(step, tf.float32)
        rise = (step + 1.0) / max(self.warmup_steps, 1)
        fall = (self.num_steps - step) / float(self.num_steps - self.warmup_steps)
        share = tf.where(step < self.warmup_steps, rise, tf.maximum(fall, 0.0))
        return self.peak_learning_rate * share

    def get_config(self):
        return {
            "peak_learning_rate": self.peak_learning_rate,
            "num_steps": self.num_steps,
            "warmup_steps": self.warmup_steps,
        }
