"""Heads without weights: vectors of texts and of tokens, from any layer of the encoder."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.head import Head, example_weights

POOLINGS = ("mean", "cls")


class _LayerHead(Head):
    """Reads one layer: 0 the embeddings, 1 the first block, -1 the last block."""

    uses_pooler = False

    def __init__(self, *, hidden_size, layer=-1, **kwargs):
        super().__init__(**kwargs)
        self.hidden_size, self.layer = hidden_size, layer
        # The last layer is there without the others.
        self.uses_all_layers = layer != -1

    def vectors(self, encoded):
        """float32 [batch, length, hidden]."""
        layers = encoded.get("all_hidden_states", ())
        if self.layer == -1:
            return tf.cast(encoded["sequence_output"], tf.float32)
        if not -len(layers) <= self.layer < len(layers):
            raise ValueError(
                f"--layer must be in {-len(layers)}..{len(layers) - 1}: 0 are the embeddings, "
                f"{len(layers) - 1} or -1 the last block. Received: {self.layer}"
            )
        return tf.cast(layers[self.layer], tf.float32)

    def get_config(self):
        return {**super().get_config(), "hidden_size": self.hidden_size, "layer": self.layer}


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class TokenVectorsHead(_LayerHead):
    """Gives "token_vectors", float32 [batch, length, hidden], zeros in the padding. No loss."""

    kind = "token_vectors"
    terms = ()
    metric_names = ()
    target_key = ""
    own_options = ("layer",)

    def __init__(self, *, name="token_vectors", **kwargs):
        super().__init__(name=name, **kwargs)

    @classmethod
    def for_encoder(cls, config, **kwargs):
        """Returns the head for an EncoderConfig."""
        return cls(hidden_size=config.hidden_size, **kwargs)

    def call(self, encoded, batch, training=None):
        del batch, training
        return {"token_vectors": self.vectors(encoded)}

    def loss_weights(self, batch):
        del batch
        return {}

    def loss_terms(self, outputs, batch):
        del outputs, batch
        return {}

    def metric_terms(self, outputs, batch):
        del outputs, batch
        return {}


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class EmbeddingHead(_LayerHead):
    """Gives one vector a text, and learns from pairs whose texts belong together.

    "embedding" float32 [batch, hidden]: the mean of the row's tokens, special tokens included, or
    the first token; of length 1 if `normalized`.

    In training rows 2i and 2i + 1 are a pair (`group_ids` int32 [batch] is their number, and says
    that there are pairs). The loss of a pair is the cross-entropy of its second text among the
    second texts of all pairs in the batch, by cosine similarity over `temperature`, and the same
    for its first: the other pairs are the negatives. The mean of both, in nats.

    Args:
      hidden_size: width of the tokens.
      layer: which is read, see `_LayerHead`.
      pooling: "mean" or "cls".
      normalized: whether vectors have the length 1.
      temperature: what similarities are divided by.

    Raises:
      ValueError: an unknown pooling, or a temperature that is not positive.

    Source: Reimers and Gurevych 2019, arXiv:1908.10084, section 3 (pooling); Henderson et al. 2017,
    arXiv:1705.00652, section 4.4 (negatives of the batch).
    """

    kind = "embedding"
    terms = ("contrastive",)
    metric_names = ("pair_accuracy",)
    target_key = "group_ids"
    own_options = ("layer", "pooling", "normalized", "temperature")

    def __init__(
        self, *, pooling="mean", normalized=True, temperature=0.05, name="embedding", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        if pooling not in POOLINGS or temperature <= 0:
            raise ValueError(
                f"pooling must be one of {', '.join(POOLINGS)} and temperature positive. Received: "
                f"{pooling!r}, {temperature}"
            )
        self.pooling, self.normalized, self.temperature = pooling, normalized, temperature

    @classmethod
    def for_encoder(cls, config, **kwargs):
        """Returns the head for an EncoderConfig."""
        return cls(hidden_size=config.hidden_size, **kwargs)

    def call(self, encoded, batch, training=None):
        del batch, training
        vectors_BSH = self.vectors(encoded)
        if self.pooling == "cls":
            pooled_BH = vectors_BSH[:, 0]
        else:
            real_BS1 = tf.expand_dims(tf.cast(encoded["padding_mask"], tf.float32), -1)
            # A row of padding alone has the mean 0.
            count_B1 = tf.maximum(tf.reduce_sum(real_BS1, axis=1), 1.0)
            pooled_BH = tf.reduce_sum(vectors_BSH * real_BS1, axis=1) / count_B1
        if self.normalized:
            pooled_BH = tf.math.l2_normalize(pooled_BH, axis=-1)
        return {"embedding": pooled_BH}

    def loss_weights(self, batch):
        if "group_ids" not in batch:
            return {}
        return {"contrastive": tf.reduce_sum(self._weights(batch))}

    def loss_terms(self, outputs, batch):
        if "group_ids" not in batch:
            return {}
        similarities, weights = self._similarities(outputs), self._weights(batch)
        pairs = tf.range(tf.shape(weights)[0])
        (loss, weight), (other, _) = (
            # A pair that only completes the batch is no one's negative.
            sparse_cross_entropy(tf.where(weights > 0, one, -1e9), pairs, weights=weights)
            for one in (similarities, tf.transpose(similarities))
        )
        return {"contrastive": ((loss + other) / 2, weight)}

    def metric_terms(self, outputs, batch):
        if "group_ids" not in batch:
            return {}
        weights = self._weights(batch)
        pairs = tf.range(tf.shape(weights)[0])
        similarities = tf.where(weights > 0, self._similarities(outputs), -1e9)
        return {"pair_accuracy": sparse_accuracy(similarities, pairs, weights=weights)}

    def _similarities(self, outputs):
        """float32 [pairs, pairs]: of each first text (rows) to each second one."""
        vectors = tf.math.l2_normalize(outputs["embedding"], axis=-1)
        return tf.matmul(vectors[::2], vectors[1::2], transpose_b=True) / self.temperature

    def _weights(self, batch):
        return example_weights(batch, batch["group_ids"])[::2]

    def get_config(self):
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "normalized": self.normalized,
            "temperature": self.temperature,
        }
