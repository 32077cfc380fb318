"""BERT in NumPy, float64, padded, from the paper alone: what the encoder is compared with."""

from __future__ import annotations

import math

import numpy as np

_erf = np.vectorize(math.erf)


def layer_norm(x, norm, epsilon):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * array(norm.gamma) + array(norm.beta)


def dense(x, layer):
    return x @ array(layer.kernel) + array(layer.bias)


def array(variable):
    return np.asarray(variable.numpy(), "float64")


def gelu(x):
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh}


def encode(encoder, token_ids, segment_ids, padding_mask):
    """Returns all layers' hidden states, float64 [batch, length, hidden], padding included."""
    config, embeddings = encoder.config, encoder.embeddings
    x = array(embeddings.token_embeddings.embeddings)[token_ids]
    positions = np.arange(token_ids.shape[1]) + config.position_offset
    x = x + array(embeddings.position_embeddings.embeddings)[positions][None]
    if config.num_segments:
        x = x + array(embeddings.segment_embeddings.embeddings)[segment_ids]
    x = layer_norm(x, embeddings.layer_norm, config.layer_norm_epsilon)
    if config.embedding_size is not None:
        x = dense(x, embeddings.projection)
    states = [x]
    for index in range(config.num_layers):
        block = encoder.blocks[0 if config.share_layers else index]
        attended = dense(attention(x, block.attention, padding_mask), block.attention.output_dense)
        x = layer_norm(x + attended, block.attention_norm, config.layer_norm_epsilon)
        forward = ACTIVATIONS[config.activation](dense(x, block.feed_forward.intermediate))
        forward = dense(forward, block.feed_forward.output_dense)
        x = layer_norm(x + forward, block.feed_forward_norm, config.layer_norm_epsilon)
        states.append(x)
    return states


def attention(x, layer, padding_mask):
    query, key, value = np.split(dense(x, layer.query_key_value), 3, axis=-1)
    width = x.shape[-1] // layer.num_heads
    context = np.zeros_like(x)
    for row in range(x.shape[0]):
        for head in range(layer.num_heads):
            columns = slice(head * width, (head + 1) * width)
            scores = query[row, :, columns] @ key[row, :, columns].T / math.sqrt(width)
            scores = np.where(padding_mask[row][None] > 0, scores, -np.inf)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            context[row, :, columns] = weights @ value[row, :, columns]
    return context


def pool(encoder, states):
    first = states[-1][:, 0]
    return first if encoder.pooler is None else np.tanh(dense(first, encoder.pooler))
