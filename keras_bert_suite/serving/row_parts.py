"""Rows without number, a few at a time: the memory for them does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

_ROWS_AT_ONCE = 32  # of rows whose number a single text decides

Tensors = Mapping[str, tf.Tensor]


def in_parts(
    run: Callable[[Tensors], dict[str, tf.Tensor]], batch: Tensors
) -> dict[str, tf.Tensor]:
    """The outputs for a batch of any number of rows, at least one, in memory for a few of them."""
    rows = tf.shape(batch["token_ids"])[0]
    first = run({name: tensor[:_ROWS_AT_ONCE] for name, tensor in batch.items()})
    parts = {
        name: tf.TensorArray(
            value.dtype,
            size=1,
            dynamic_size=True,
            infer_shape=False,
            element_shape=[None, *value.shape[1:]],  # the last part has fewer rows
        ).write(0, value)
        for name, value in first.items()
    }

    def more(index, parts):
        outputs = run(
            {
                name: tensor[index * _ROWS_AT_ONCE : (index + 1) * _ROWS_AT_ONCE]
                for name, tensor in batch.items()
            }
        )
        return index + 1, {name: parts[name].write(index, outputs[name]) for name in parts}

    _, parts = tf.while_loop(
        lambda index, _: index * _ROWS_AT_ONCE < rows,
        more,
        (tf.constant(1), parts),
        parallel_iterations=1,
    )
    return {name: part.concat() for name, part in parts.items()}
