"""Models changed after training: other positions, fewer layers, weights of another dtype.

Each function gives a new model and leaves the one it is given alone. The vocabulary has a file of
its own, vocabulary_surgery.py; model_editing.py does all of it from directory to directory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import ml_dtypes  # noqa: F401  (NumPy learns bfloat16 from it)
import numpy as np

from keras_bert_suite.checkpoints.construction import set_value, without_values
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.head import Head

DTYPES = ("float32", "bfloat16", "float16")
POSITION_METHODS = ("copy", "interpolate")


def resize_positions(model: BertModel, max_positions: int, *, method: str = "copy") -> BertModel:
    """Returns the model with a longer or shorter table of positions.

    Shorter: the first rows stay. Longer: "copy" repeats the table (row i is row i modulo the old
    length), so that texts which fitted before get the same answers; "interpolate" stretches it
    linearly, the first and the last row staying what they are, which changes every answer. After
    either the model wants training on long texts.

    Args:
      model: as it was loaded.
      max_positions: tokens of the longest row, [CLS] and [SEP] included.
      method: "copy" or "interpolate".

    Raises:
      ValueError: not a positive number of positions, or another method.

    Source: "copy": Beltagy et al. 2020, arXiv:2004.05150, section 5.
    """
    if method not in POSITION_METHODS:
        raise ValueError(
            f"Positions are made by one of {', '.join(POSITION_METHODS)}. Received: {method!r}"
        )
    old_config = model.encoder.config
    config = old_config.replace(max_positions=max_positions)
    variable = model.encoder.embeddings.position_embeddings.embeddings
    table = weight_value(variable)
    # A family may begin to count behind some rows that it never uses.
    unused, used = np.split(table, [len(table) - old_config.max_positions])
    resized = np.concatenate([unused, _resized(used, max_positions, method)])
    return rebuild(model, config, changed=[(variable, resized)])


def attend_locally(model: BertModel, window: int, *, global_every: int) -> BertModel:
    """Returns the model with windows of attention in all but every n-th layer; weights stay.

    The model wants training afterwards, since its layers have learnt to see whole texts.

    Args:
      model: as it was loaded.
      window: tokens, half of them to each side.
      global_every: layers 0, n, 2 n, ... see all tokens.

    Raises:
      ValueError: a window of fewer than 2 tokens, or global_every below 1.

    Source: Warner et al. 2024 (ModernBERT), arXiv:2412.13663, section 2.1.2.
    """
    config = model.encoder.config
    changed = config.replace(local_attention=window, global_attention_every=global_every)
    return rebuild(model, changed)


def keep_layers(model: BertModel, num_layers: int) -> BertModel:
    """Returns the model with its first layers alone; pooler and heads stay as they are.

    Raises:
      ValueError: not between 1 and the model's number of layers.
    """
    config = model.encoder.config
    if not 1 <= num_layers <= config.num_layers:
        raise ValueError(
            f"The first layers to keep must be 1 to {config.num_layers}, as many as the model has. "
            f"Received: {num_layers}"
        )
    return rebuild(model, config.replace(num_layers=num_layers))


def cast_weights(model: BertModel, dtype: str) -> BertModel:
    """Returns the model with its weights rounded to `dtype`, ties to even, and computing in it.

    Raises:
      ValueError: another dtype, or a weight too large for it (float16 ends at 65504).
    """
    if dtype not in DTYPES:
        raise ValueError(f"Weights are stored as one of {', '.join(DTYPES)}. Received: {dtype!r}")
    for weight in model.weights:
        with np.errstate(over="ignore"):
            rounded = weight_value(weight).astype(dtype)
        if not np.isfinite(rounded.astype(np.float32)).all():
            raise ValueError(
                f"The weight {weight.path} has values too large for {dtype}. Take bfloat16, which "
                "has the range of float32"
            )
    return rebuild(model, model.encoder.config, dtype=dtype)


def rebuild(
    model: BertModel,
    config: EncoderConfig,
    *,
    changed: Iterable[tuple[Any, np.ndarray]] = (),
    dtype: str | None = None,
) -> BertModel:
    """Returns a model of another shape with the weights of this one.

    Args:
      model: the old one.
      config: the new encoder's; what it has no more (layers) is left out.
      changed: (variable of `model`, value that it has in the new one), for all that change shape.
      dtype: Keras dtype policy of the new model; None keeps each part's own.
    """
    with without_values() as unfilled:
        encoder = Encoder.from_config(
            _layer_config(model.encoder, {"config": config.to_dict()}, dtype)
        )
        sizes = {"vocab_size": config.vocab_size}
        heads: list[Head] = [
            type(head).from_config(_layer_config(head, sizes, dtype))
            for head in model.heads.values()
        ]
        policy = keras.dtype_policies.get(dtype) if dtype else model.dtype_policy
        rebuilt = BertModel(encoder, heads, name=model.name, dtype=policy)
    changes = {id(variable): value for variable, value in changed}
    pairs = [(model.encoder, encoder)]
    pairs += [(head, rebuilt.heads[kind]) for kind, head in model.heads.items()]
    for old, new in pairs:
        sources = {_place(variable): variable for variable in old.weights}
        for variable in new.weights:
            source = sources[_place(variable)]
            value = changes.get(id(source))
            set_value(variable, weight_value(source) if value is None else value)
    unfilled.initialize()
    return rebuilt


def weight_value(variable: Any) -> np.ndarray:
    """Returns a variable's value as NumPy sees it, in its dtype; not to be written to."""
    return np.asarray(variable.value)


def _layer_config(layer: Any, changes: dict[str, Any], dtype: str | None) -> dict[str, Any]:
    """The layer's `get_config` with those changes that it has keys for."""
    config = layer.get_config()
    config.update({key: value for key, value in changes.items() if key in config})
    if dtype is not None:
        config["dtype"] = keras.dtype_policies.serialize(keras.dtype_policies.get(dtype))
    return config


def _place(variable: Any) -> str:
    """Where in its encoder or head a variable is: the path without the name of the whole."""
    return variable.path.partition("/")[2]


def _resized(table: np.ndarray, rows: int, method: str) -> np.ndarray:
    if rows <= len(table):
        return table[:rows]
    if method == "copy":
        return table[np.arange(rows) % len(table)]
    # Equal distances between the first and the last row.
    places = np.linspace(0, len(table) - 1, rows)
    lower = np.floor(places).astype(int)
    upper = np.minimum(lower + 1, len(table) - 1)
    share = (places - lower)[:, None]
    values = table.astype(np.float64)
    return (values[lower] * (1 - share) + values[upper] * share).astype(table.dtype)
