"""What the encoder asks of a batch."""

from __future__ import annotations

import tensorflow as tf

_LIKE_TOKEN_IDS = ("padding_mask", "segment_ids", "position_ids", "row_ids")


def checked_token_ids(batch, *, max_positions):
    """Returns the batch's `token_ids`, [batch, length]; see Encoder.call for the keys.

    Raises:
      ValueError: `token_ids` is missing, ragged or not of rank 2; another key has another shape;
        rows longer than max_positions bring neither position_ids nor row_ids.
    """
    if not isinstance(batch, dict) or "token_ids" not in batch:
        received = sorted(batch) if isinstance(batch, dict) else type(batch).__name__
        raise ValueError(f"A batch must be a dict with `token_ids`. Received: {received}")
    token_ids = batch["token_ids"]
    for key in ("token_ids", *_LIKE_TOKEN_IDS):
        if isinstance(batch.get(key), tf.RaggedTensor):
            raise ValueError(
                f"`{key}` must be a dense tensor. Received: a RaggedTensor; a tokenizer's "
                "pack(ids) pads and frames rows, to_tensor(padding_id) pads alone"
            )
    if len(token_ids.shape) != 2:
        raise ValueError(
            f"`token_ids` must have the shape [batch, length]. Received: {token_ids.shape}"
        )
    for key in _LIKE_TOKEN_IDS:
        if batch.get(key) is not None:
            _check_shape(key, batch[key], token_ids.shape, "that of `token_ids`")
    if "cls_positions" in batch:
        wanted = [token_ids.shape[0], None]
        _check_shape("cls_positions", batch["cls_positions"], wanted, "[batch, examples]")
    length = token_ids.shape[1]
    counts_anew = "position_ids" in batch or "row_ids" in batch
    if length is not None and length > max_positions and not counts_anew:
        raise ValueError(
            f"A row holds at most max_positions={max_positions} tokens. "
            f"Received rows of {length}; truncate them or take a model with more positions."
        )
    return token_ids


def _check_shape(key, value, wanted, what):
    if not tf.TensorShape(value.shape).is_compatible_with(wanted):
        raise ValueError(
            f"`{key}` must have the shape {what}, {tf.TensorShape(wanted)}. Received: {value.shape}"
        )
