"""Layers of several variants, of which each row of a batch is computed with one.

Rows for differently tuned models go through one encoder together: its large products are the same
for all rows, and what differs is computed by the layers here. They stand in the encoder's slots
(see attachment.py), or in the place of a layer that differs, and are told by `chosen_variants`
which variant each row takes. They compute answers; training goes one model at a time.

Their variables are those of the single layers: nothing is copied.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_bert_suite.layers.activations import get_activation
from keras_bert_suite.layers.attention_products import Prefix
from keras_bert_suite.layers.bottleneck import Bottleneck
from keras_bert_suite.layers.deep_prompt import DeepPrompt
from keras_bert_suite.layers.low_rank_update import LowRankUpdate
from keras_bert_suite.layers.token_layout import MASKED_SCORE


class _Chosen(NamedTuple):
    """int32 [batch] and [tokens]: the variant of each row, and of each token of the stream."""

    ids_B: tf.Tensor
    ids_T: tf.Tensor


_chosen: contextvars.ContextVar[_Chosen] = contextvars.ContextVar("chosen variants")


@contextlib.contextmanager
def chosen_variants(variant_ids, *, layout) -> Iterator[None]:
    """In the block, the layers here compute each row with the variant of its number.

    The numbers reach them as `training` reaches the layers of Keras, past those in between.

    Args:
      variant_ids: int32 [batch], in [0, variants).
      layout: the TokenLayout of the batch.
    """
    ids_BS = tf.broadcast_to(variant_ids[:, None], tf.shape(layout.padding_mask))
    before = _chosen.set(_Chosen(variant_ids, layout.to_stream(ids_BS)))
    try:
        yield
    finally:
        _chosen.reset(before)


class DenseVariants:
    """What a dense layer's variants have beside it: low-rank updates and other biases.

    Stands in the slot `update`. All low-rank updates are one product x [A1 | A2 | ...], whose
    columns of other variants than the token's are made 0, and then one with [B1; B2; ...].

    Args:
      bias: of the dense layer, [units].
      biases: each variant's own, [units]; the same variables where it has none.
      updates: each variant's, or None.
    """

    def __init__(
        self, bias: Any, *, biases: Sequence[Any], updates: Sequence[LowRankUpdate | None]
    ):
        self._updates = updates
        self._bias, self._biases = bias, biases
        self._other_biases = any(each.value is not bias.value for each in biases)

    def __call__(self, inputs, training=None):
        """Returns [tokens, units] of [tokens, inputs], what to add to the dense layer's output."""
        assert not training
        added = []
        if any(self._updates):
            added.append(self._low_rank(inputs))
        if self._other_biases:
            differences_VU = _stacked(self._biases) - tf.convert_to_tensor(self._bias)
            added.append(_of_tokens(differences_VU, inputs.dtype))
        return tf.add_n(added)

    def _low_rank(self, inputs):
        updates = _present(self._updates)
        parts, units = updates[0][1].parts, updates[0][1].units
        # The columns part by part, and within a part update by update
        members = [[(i, u) for i, u in updates if part in u.targets] for part in range(parts)]
        columns = [(part, i, u) for part in range(parts) for i, u in members[part]]
        a = tf.concat([_cast(getattr(u, f"a_{part}"), inputs) for part, _, u in columns], 1)
        blocks = ((i, u.rank, u.scale) for _, i, u in columns)
        scales = _own_columns(blocks, variants=len(self._updates))
        narrow = tf.matmul(inputs, a) * _of_tokens(scales, inputs.dtype)
        widths = [sum(u.rank for _, u in each) for each in members]
        outputs = []
        for part, x in enumerate(tf.split(narrow, widths, axis=-1)):
            bs = [_cast(getattr(u, f"b_{part}"), inputs) for _, u in members[part]]
            # A part that no variant corrects has its place among the outputs too.
            b = tf.concat(bs, 0) if bs else tf.zeros([0, units // parts], inputs.dtype)
            outputs.append(tf.matmul(x, b))
        return tf.concat(outputs, -1)


class BottleneckVariants:
    """Bottlenecks in one slot: x + up(activation(down(x))) by the token's own, or x without one.

    All are one product as in DenseVariants; columns of others are made 0 behind the activation.

    Args:
      bottlenecks: each variant's, or None.
    """

    def __init__(self, bottlenecks: Sequence[Bottleneck | None]):
        self._count = len(bottlenecks)
        # Those with one activation side by side
        self._columns = sorted(_present(bottlenecks), key=lambda item: item[1].activation)

    def __call__(self, inputs):
        """Returns [tokens, hidden_size] of the same."""
        layers = [layer for _, layer in self._columns]
        kernel = tf.concat([_cast(layer.down.kernel, inputs) for layer in layers], 1)
        bias = tf.concat([_cast(layer.down.bias, inputs) for layer in layers], 0)
        sizes: dict[str, int] = {}
        for layer in layers:
            sizes[layer.activation] = sizes.get(layer.activation, 0) + layer.size
        groups = tf.split(tf.matmul(inputs, kernel) + bias, list(sizes.values()), axis=-1)
        active = [get_activation(name)(x) for name, x in zip(sizes, groups, strict=True)]
        columns = ((i, layer.size, 1.0) for i, layer in self._columns)
        own = _own_columns(columns, variants=self._count)
        narrow = tf.concat(active, -1) * _of_tokens(own, inputs.dtype)
        up = tf.concat([_cast(layer.up.kernel, inputs) for layer in layers], 0)
        biases: list[Any] = [tf.zeros_like(up[0])] * self._count
        for i, layer in self._columns:
            biases[i] = _cast(layer.up.bias, inputs)
        return inputs + tf.matmul(narrow, up) + _of_tokens(tf.stack(biases), inputs.dtype)


class LayerNormVariants:
    """LayerNorm with the token's own scale and offset.

    Args:
      norms: each variant's layer, alike but for gamma and beta.
    """

    def __init__(self, norms: Sequence[keras.layers.LayerNormalization]):
        self._dtype = norms[0].compute_dtype
        self._gammas, self._betas = [n.gamma for n in norms], [n.beta for n in norms]
        # float32, as Keras computes it inside
        self._plain = keras.layers.LayerNormalization(
            epsilon=norms[0].epsilon, center=False, scale=False, dtype="float32"
        )

    def __call__(self, inputs):
        """Returns [tokens, hidden_size] of the same."""
        gamma, beta = (
            _of_tokens(_stacked(values), tf.float32) for values in (self._gammas, self._betas)
        )
        return tf.cast(self._plain(inputs) * gamma + beta, self._dtype)


class DeepPromptVariants:
    """Deep prompts of any lengths; a row sees its own, or none.

    Args:
      prompts: each variant's, or None.
    """

    def __init__(self, prompts: Sequence[DeepPrompt | None]):
        self._prompts = prompts
        self._lengths = [prompt.length if prompt else 0 for prompt in prompts]

    def prefix(self, index):
        """Returns the Prefix of layer `index`, [batch, ...], padded to the longest prompt."""
        longest = max(self._lengths)
        parts: list[Any] = [None] * len(self._prompts)
        for i, prompt in _present(self._prompts):
            both = tf.stack(prompt.prefix(index)[:2])  # [2, 1, heads, length, head width]
            missing = longest - prompt.length
            parts[i] = tf.pad(both[:, 0], [[0, 0], [0, 0], [0, missing], [0, 0]])
        nothing = next(tf.zeros_like(part) for part in parts if part is not None)
        table = tf.stack([nothing if part is None else part for part in parts])
        rows = _chosen.get().ids_B
        keys, values = tf.unstack(tf.gather(table, rows), num=2, axis=1)
        hidden = np.arange(longest) >= np.array(self._lengths)[:, None]
        bias = tf.cast(tf.constant(np.where(hidden, MASKED_SCORE, 0.0)), keys.dtype)
        return Prefix(keys, values, tf.gather(bias, rows))


def _present(layers: Sequence[Any]) -> list[tuple[int, Any]]:
    return [(i, layer) for i, layer in enumerate(layers) if layer is not None]


def _own_columns(columns: Iterable[tuple[int, int, float]], *, variants: int) -> np.ndarray:
    """float32 [variants, all columns]: the factor of a variant's own columns, 0 for the others'.

    Args:
      columns: (variant, how many, factor), from left to right.
    """
    factors = []
    for variant, width, factor in columns:
        block = np.zeros([variants, width], np.float32)
        block[variant] = factor
        factors.append(block)
    return np.concatenate(factors, axis=1)


def _stacked(variables: Sequence[Any]):
    return tf.stack([tf.convert_to_tensor(variable) for variable in variables])


def _cast(variable, like):
    return tf.cast(tf.convert_to_tensor(variable), like.dtype)


def _of_tokens(table_V, dtype):
    """The rows of a table [variants, ...] that the tokens take: [tokens, ...]."""
    return tf.gather(tf.cast(table_V, dtype), _chosen.get().ids_T)
