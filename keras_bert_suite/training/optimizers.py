"""The optimizer of BERT: AdamW that decays matrices and leaves the rest alone."""

from __future__ import annotations

import keras

from keras_bert_suite.training.precision import policy_name
from keras_bert_suite.training.schedules import LinearWarmupDecay

# A component of the variable's name. Keras matches against the name that TensorFlow gives, which is
# "gamma:0" on one device, "gamma/replica_1:0" on a second replica, and may hold a scope before it:
# a pattern that expects the bare name would decay LayerNorm on all replicas but the first.
_NOT_DECAYED = r"(?:^|/)(?:gamma|beta|bias)(?=$|[/:])"


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class MatrixDecayAdamW(keras.optimizers.AdamW):
    """AdamW whose decay leaves LayerNorm's gamma and beta and all biases alone.

    A class of its own because Keras does not save what `exclude_from_weight_decay` was told: a
    model that was saved and loaded would decay everything.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.exclude_from_weight_decay(var_names=[_NOT_DECAYED])


def make_optimizer(
    *,
    learning_rate: float,
    num_steps: int,
    warmup_steps: int = 0,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
    precision: str = "float32",
) -> keras.optimizers.Optimizer:
    """Gives AdamW with warm-up, linear decay of the rate, decoupled weight decay and clipping.

    Call it inside `strategy.scope()`. The model's `compile` makes the optimizer take gradients that
    are already summed over the replicas (models/exact_model.py), so the clipping sees their true
    global norm. Adam's bias correction is the standard one; Google's original has none.

    Args:
      learning_rate: float > 0, the peak.
      num_steps: optimizer steps of the whole run; the rate ends at 0 there.
      warmup_steps: optimizer steps until the peak.
      weight_decay: share of a weight lost per step at a rate of 1; not on LayerNorm's gamma and
        beta and not on biases.
      clip_norm: largest global L2 norm of the gradient; None or 0 switches clipping off.
      precision: "float16" wraps the optimizer in dynamic loss scaling (a step whose gradient is not
        finite is skipped and halves the scale).

    Raises:
      ValueError: a negative weight decay or clip norm, an unknown precision, or what
        LinearWarmupDecay refuses.

    Source: Devlin et al. 2018, arXiv:1810.04805, A.2; Loshchilov & Hutter, arXiv:1711.05101;
    epsilon 1e-6 from google-research/bert optimization.py.
    """
    policy_name(precision)
    if weight_decay < 0:
        raise ValueError(f"weight_decay must not be negative. Received: {weight_decay}.")
    if clip_norm is not None and clip_norm < 0:
        raise ValueError(
            f"clip_norm must not be negative; 0 switches clipping off. Received: {clip_norm}."
        )
    optimizer = MatrixDecayAdamW(
        LinearWarmupDecay(learning_rate, num_steps=num_steps, warmup_steps=warmup_steps),
        weight_decay=weight_decay,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        global_clipnorm=clip_norm or None,
    )
    if precision == "float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def decayed_variables(optimizer, variables) -> list[str]:
    """Gives the paths of those Keras `variables` that weight decay shrinks, in their order."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.weight_decay:
        return []
    # The TensorFlow variable, as the optimizer itself asks: its name differs from the Keras one's.
    return [v.path for v in variables if inner._use_weight_decay(v.value)]
