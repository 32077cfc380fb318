"""The optimizers of BERT: AdamW and LAMB, which decay matrices and leave the rest alone."""

from __future__ import annotations

import re
from typing import Any

import keras
import tensorflow as tf

from keras_bert_suite.training.fused_adam import fused_adam, is_fused
from keras_bert_suite.training.precision import policy_name
from keras_bert_suite.training.schedules import WarmupDecay

# A component of the variable's name. Keras matches against the name that TensorFlow gives, which is
# "gamma:0" on one device, "gamma/replica_1:0" on a second replica, and may hold a scope before it:
# a pattern that expects the bare name would decay LayerNorm on all replicas but the first.
_BLOCK = re.compile(r"(?:^|/)block_(\d+)/")
_EMBEDDINGS = re.compile(r"^(?:[^/]+/)?embeddings/")
_NOT_DECAYED = r"(?:^|/)(?:gamma|beta|bias)(?=$|[/:])"


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class MatrixDecayAdamW(keras.optimizers.AdamW):
    """AdamW whose decay leaves LayerNorm's gamma and beta and all biases alone.

    A class of its own because Keras does not save what `exclude_from_weight_decay` was told: a
    model that was saved and loaded would decay everything. A step is one compiled pass over a large
    variable (fused_adam.py) or TensorFlow's one operation for Adam, and not Keras' ten, each of
    which reads and writes every weight.

    Args:
      layer_decay: factor of the rate from each layer of the encoder to the one below it; heads and
        pooler learn at the full rate, the last block at this share of it, the embeddings slowest.
        1: one rate for all.
      others: of keras.optimizers.AdamW, without amsgrad. `epsilon` stands beside the corrected
        root, sqrt(v / (1 - b2^t)) + epsilon, as in the paper and in PyTorch.

    Source: Kingma & Ba 2014, arXiv:1412.6980, algorithm 1; Loshchilov & Hutter, arXiv:1711.05101;
    the layer-wise rate: Howard & Ruder 2018, arXiv:1801.06146, section 3.2; Clark et al.
    2020 (ELECTRA), arXiv:2003.10555, appendix B.
    """

    def __init__(self, *args, layer_decay: float = 1.0, **kwargs):
        if kwargs.get("amsgrad"):
            raise ValueError("amsgrad is not implemented. Received: amsgrad=True.")
        super().__init__(*args, **kwargs)
        self.layer_decay = layer_decay
        self._rate_factors: tuple[float, ...] = ()
        self._clip_factor = None
        self._fused = fused_adam()
        self.exclude_from_weight_decay(var_names=[_NOT_DECAYED])

    def build(self, variables):
        super().build(variables)
        self._rate_factors = rate_factors([v.path for v in variables], self.layer_decay)

    def _apply_weight_decay(self, variables):
        """Nothing: the decay is part of the update, where the layer's rate is known."""

    def _clip_gradients(self, grads):
        # Slices of a table may name a row twice: their norm is that of the sums.
        grads = [tf.convert_to_tensor(gradient) for gradient in grads]
        if not self.global_clipnorm:
            return super()._clip_gradients(grads)
        # The norm by the operation that the train step's own norm is taken by: both are one.
        norm = tf.linalg.global_norm(grads)
        self._clip_factor = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        return grads

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self._clip_factor = None  # a tensor of this graph alone

    def update_step(self, gradient, variable, learning_rate):
        index, dtype = self._get_variable_index(variable), variable.dtype
        gradient = tf.cast(gradient, dtype)
        factor = tf.cast(1.0 if self._clip_factor is None else self._clip_factor, dtype)
        rate = tf.cast(learning_rate, dtype) * self._rate_factors[index]
        decays = self.weight_decay and self._use_weight_decay(variable)
        decay = tf.constant(self.weight_decay if decays else 0.0, dtype)
        betas = [tf.constant(beta, dtype) for beta in (self.beta_1, self.beta_2)]
        powers = [beta ** tf.cast(self.iterations + 1, dtype) for beta in betas]
        # TensorFlow adds epsilon to the root of the uncorrected `v`, where in the first steps it
        # weighs up to 30 times as much as in Adam's rule.
        epsilon = tf.constant(self.epsilon, dtype) * tf.sqrt(1.0 - powers[1])
        m, v = self._momentums[index].value, self._velocities[index].value
        if is_fused(variable):
            self._fused(variable, m, v, gradient, factor, rate, decay, epsilon, betas, powers)
            return
        if decays:
            # Not as a factor: float32 knows 1 - 2e-7 to a fifth of the decay only.
            variable.assign_sub(variable * (rate * decay))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=betas[0],
            beta2=betas[1],
            epsilon=epsilon,
            grad=gradient * factor,
            use_locking=True,
        )

    def get_config(self):
        return {**super().get_config(), "layer_decay": self.layer_decay}


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class MatrixDecayLamb(keras.optimizers.Lamb):
    """LAMB: Adam's direction plus decay, as long as the weights of each variable.

        m = b1 m + (1 - b1) g                     v = b2 v + (1 - b2) g^2
        u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay w
        w = w - rate |w| / |u| u                  (L2 norms over one variable; a ratio of 0 / x or
                                                   x / 0 counts as 1)

    LayerNorm's gamma and beta and biases take the plain step: no decay and a ratio of 1, as in
    Google's and NVIDIA's code. Keras' own class applies the decay apart from `u`, before the norms
    are taken, and scales every variable; only its state and its options are used here.

    Source: You et al. 2019, arXiv:1904.00962, algorithm 2, with phi(z) = z.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.exclude_from_weight_decay(var_names=[_NOT_DECAYED])

    def _apply_weight_decay(self, variables):
        """Nothing: the decay is part of the update."""

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        gradient = tf.cast(gradient, variable.dtype)
        rate = tf.cast(learning_rate, variable.dtype)
        step = tf.cast(self.iterations + 1, variable.dtype)
        self.assign_add(m, (gradient - m) * (1.0 - self.beta_1))
        self.assign_add(v, (tf.square(gradient) - v) * (1.0 - self.beta_2))
        mean = tf.convert_to_tensor(m) / (1.0 - self.beta_1**step)
        square = tf.convert_to_tensor(v) / (1.0 - self.beta_2**step)
        update = mean / (tf.sqrt(square) + self.epsilon)
        if self._use_weight_decay(variable):
            weight = tf.convert_to_tensor(variable)
            if self.weight_decay:
                update += self.weight_decay * weight
            norms = tf.norm(weight), tf.norm(update)
            both = tf.logical_and(norms[0] > 0, norms[1] > 0)
            rate *= tf.where(both, tf.math.divide_no_nan(*norms), 1.0)
        self.assign_sub(variable, rate * update)


def rate_factors(paths, layer_decay: float) -> tuple[float, ...]:
    """Gives the share of the learning rate for each variable of a model, by its Keras path."""
    blocks = [_BLOCK.search(path) for path in paths]
    depth = 1 + max((int(block[1]) for block in blocks if block), default=-1)
    exponents = [
        depth - int(block[1]) if block else (depth + 1 if _EMBEDDINGS.search(path) else 0)
        for block, path in zip(blocks, paths, strict=True)
    ]
    return tuple(float(layer_decay**exponent) for exponent in exponents)


_OPTIMIZERS = {"adamw": MatrixDecayAdamW, "lamb": MatrixDecayLamb}
OPTIMIZERS = tuple(_OPTIMIZERS)


def make_optimizer(
    *,
    learning_rate: float,
    num_steps: int,
    warmup_steps: int = 0,
    weight_decay: float = 0.01,
    clip_norm: float | None = 1.0,
    precision: str = "float32",
    optimizer: str = "adamw",
    schedule: str = "linear",
    schedule_power: float | None = None,
    ema: float | None = None,
    layer_decay: float = 1.0,
) -> keras.optimizers.Optimizer:
    """Gives AdamW or LAMB with warm-up, a falling rate, weight decay and clipping.

    Call it inside `strategy.scope()`. The model's `compile` makes the optimizer take gradients that
    are already summed over the replicas (models/exact_model.py), so the clipping sees their true
    global norm. Adam's bias correction is the standard one; Google's original has none.

    Args:
      learning_rate: float > 0, the peak.
      num_steps: optimizer steps of the whole run; the rate ends at 0 there.
      warmup_steps: optimizer steps until the peak.
      weight_decay: share of a weight lost per step at a rate of 1 (for LAMB before the scaling to
        the weights' norm); not on LayerNorm's gamma and beta and not on biases.
      clip_norm: largest global L2 norm of the gradient; None or 0 switches clipping off.
      precision: "float16" wraps the optimizer in dynamic loss scaling (a step whose gradient is not
        finite is skipped and halves the scale).
      optimizer: "adamw" or "lamb".
      schedule: how the rate falls: "linear", "polynomial", "cosine" or "constant".
      schedule_power: exponent of the polynomial; 0.5 by default.
      ema: share in [0, 1) that a running average of the weights keeps of itself at each step;
        `averaged_weights` (training/weight_average.py) puts it in the model. None: no average.
      layer_decay: in (0, 1], see MatrixDecayAdamW; LAMB has 1 alone.

    Raises:
      ValueError: a number out of range, an unknown name, a power without a polynomial, or what
        WarmupDecay refuses.

    Source: Devlin et al. 2018, arXiv:1810.04805, A.2; Loshchilov & Hutter, arXiv:1711.05101;
    You et al. 2019, arXiv:1904.00962; epsilon 1e-6 from google-research/bert optimization.py.
    """
    policy_name(precision)
    _check(weight_decay, clip_norm, optimizer, ema)
    if not 0 < layer_decay <= 1 or (layer_decay != 1 and optimizer != "adamw"):
        raise ValueError(
            "layer_decay must be in (0, 1], and goes with adamw alone. Received: "
            f"layer_decay={layer_decay} with {optimizer}."
        )
    if schedule_power is not None and schedule != "polynomial":
        raise ValueError(
            "schedule_power belongs to schedule=polynomial alone. Received: "
            f"schedule_power={schedule_power} with schedule={schedule!r}."
        )
    power = {} if schedule_power is None else {"power": schedule_power}
    options: dict[str, Any] = {} if ema is None else {"use_ema": True, "ema_momentum": ema}
    if layer_decay != 1.0:
        options["layer_decay"] = layer_decay
    made = _OPTIMIZERS[optimizer](
        WarmupDecay(
            learning_rate,
            num_steps=num_steps,
            warmup_steps=warmup_steps,
            decay=schedule,
            **power,
        ),
        weight_decay=weight_decay,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        global_clipnorm=clip_norm or None,
        **options,
    )
    if precision == "float16":
        return keras.optimizers.LossScaleOptimizer(made)
    return made


def _check(weight_decay, clip_norm, optimizer, ema) -> None:
    if weight_decay < 0:
        raise ValueError(f"weight_decay must not be negative. Received: {weight_decay}.")
    if clip_norm is not None and clip_norm < 0:
        raise ValueError(
            f"clip_norm must not be negative; 0 switches clipping off. Received: {clip_norm}."
        )
    if optimizer not in OPTIMIZERS:
        raise ValueError(
            f"optimizer must be one of {', '.join(OPTIMIZERS)}. Received: {optimizer!r}."
        )
    if ema is not None and not 0 <= ema < 1:
        raise ValueError(
            f"ema must be in [0, 1): the share that the average keeps of itself. Received: {ema}."
        )


def inner_optimizer(optimizer):
    """Gives the optimizer that loss scaling wraps, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def decayed_variables(optimizer, variables) -> list[str]:
    """Gives the paths of those Keras `variables` that weight decay shrinks, in their order.

    With LAMB these are also the ones whose step is scaled to their norm.
    """
    inner = inner_optimizer(optimizer)
    if not inner.weight_decay:
        return []
    # The TensorFlow variable, as the optimizer itself asks: its name differs from the Keras one's.
    return [v.path for v in variables if inner._use_weight_decay(v.value)]


def built_optimizer(model, strategy):
    """Gives the model's optimizer with its variables, which must live under the strategy.

    Raises:
      ValueError: the model or its optimizer was made outside the strategy's scope.
    """
    optimizer = model.optimizer
    in_scope = strategy.extended.variable_created_in_scope
    if not all(in_scope(v.value) for v in [optimizer.iterations, *model.trainable_variables]):
        raise ValueError(
            "The model or its optimizer was made outside the strategy's scope; the optimizer would "
            "count every replica as a step. Remedy: make both inside `with strategy.scope():`."
        )
    with strategy.scope():
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
    return optimizer
