"""The running average of a model's weights that the optimizer keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from keras_bert_suite.training.optimizers import inner_optimizer


@contextlib.contextmanager
def averaged_weights(model) -> Iterator[None]:
    """While entered, the model's trainable weights are their running average.

    At the end they are what they were, to the bit: training goes on as if nothing had happened.
    Does nothing without an average (`make_optimizer(ema=None)`) or before the first update. The
    average begins as the weights after the first update.

    Args:
      model: compiled, its optimizer built. Call it outside of any replica and of tf.function.
    """
    optimizer = inner_optimizer(model.optimizer)
    if not optimizer.use_ema or int(optimizer.iterations.value.numpy()) == 0:
        yield
        return
    pairs = list(
        zip(
            model.trainable_variables,
            optimizer._model_variables_moving_average,
            strict=True,
        )
    )
    kept = [tf.identity(variable.value) for variable, _ in pairs]
    for variable, average in pairs:
        variable.value.assign(tf.identity(average.value))
    try:
        yield
    finally:
        for (variable, _), value in zip(pairs, kept, strict=True):
            variable.value.assign(value)
