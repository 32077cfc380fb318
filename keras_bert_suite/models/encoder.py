"""The BERT encoder as a Keras model."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.layers.embeddings import Embeddings
from keras_bert_suite.layers.encoder_block import EncoderBlock
from keras_bert_suite.layers.token_layout import TokenLayout


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class Encoder(keras.Model):
    """Turns token ids into one vector per token and one per row.

    The batch is padded, the work is not: embeddings, dense layers and norms see the real tokens
    only. Where shapes must be static (XLA, TPU) the same layers compute every position; the
    answers are equal to float tolerance. Padding never influences a real token, and comes back
    as zeros.

    Args:
      config: EncoderConfig. All weights exist after construction.
      dtype: Keras dtype policy, such as "mixed_bfloat16"; None takes the global one.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3.
    """

    # Keras would choose XLA by itself in a plain `fit`, and XLA compiles anew for each shape of a
    # batch.
    supports_jit = False

    def __init__(self, config: EncoderConfig, *, dtype=None, name="encoder", **kwargs):
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.supports_jit = False
        self.config = config
        self.embeddings = Embeddings(
            vocab_size=config.vocab_size,
            max_positions=config.max_positions,
            num_segments=config.num_segments,
            hidden_size=config.hidden_size,
            dropout=config.hidden_dropout,
            layer_norm_epsilon=config.layer_norm_epsilon,
            initializer_range=config.initializer_range,
            dtype=self.dtype_policy,
            name="embeddings",
        )
        self.blocks = [
            EncoderBlock(
                num_heads=config.num_heads,
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                activation=config.activation,
                hidden_dropout=config.hidden_dropout,
                attention_dropout=config.attention_dropout,
                layer_norm_epsilon=config.layer_norm_epsilon,
                initializer_range=config.initializer_range,
                dtype=self.dtype_policy,
                name=f"block_{index}",
            )
            for index in range(config.num_layers)
        ]
        self.pooler = keras.layers.Dense(
            config.hidden_size,
            activation="tanh",
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
            dtype=self.dtype_policy,
            name="pooler",
        )
        self.build()

    def build(self, input_shape=None):
        self.embeddings.build()
        for block in self.blocks:
            block.build()
        self.pooler.build((None, self.config.hidden_size))

    def call(self, batch, training=None, return_all_hidden_states=False):
        """Returns the encoded batch.

        Args:
          batch: dict of int32 [batch, length]: `token_ids` in [0, vocab_size); `padding_mask`, 1 =
            real token (default: wherever token_ids is not the padding id); `segment_ids` in [0,
            num_segments) (default 0); `position_ids` in [0, max_positions) (default 0, 1, 2, ... in
            each row). Other keys are left alone.
          training: bool; True applies dropout.
          return_all_hidden_states: bool; True adds every layer's output.

        Returns:
          dict: `sequence_output` [batch, length, hidden], zeros in the padding; `pooled_output`
          [batch, hidden], a dense layer and tanh on the first position; on request
          `all_hidden_states`, a tuple of num_layers + 1 tensors like sequence_output, the
          embeddings first. In the compute dtype. A row of padding alone gives finite numbers.

        Raises:
          ValueError: when `token_ids` is missing, not of rank 2, or longer than max_positions.
        """
        token_ids, padding_mask = self._checked(batch)
        layout = TokenLayout(padding_mask)
        tokens_TH = self.embeddings(
            layout.to_stream(token_ids),
            layout.to_stream(self._position_ids(batch, layout)),
            layout.to_stream(batch.get("segment_ids", tf.zeros_like(token_ids))),
            training=training,
        )
        hidden_states = [tokens_TH]
        for block in self.blocks:
            tokens_TH = block(tokens_TH, layout=layout, training=training)
            hidden_states.append(tokens_TH)
        sequence_BSH = self._padded(tokens_TH, layout)
        outputs = {
            "sequence_output": sequence_BSH,
            "pooled_output": self.pooler(sequence_BSH[:, 0]),
        }
        if return_all_hidden_states:
            outputs["all_hidden_states"] = tuple(self._padded(x, layout) for x in hidden_states)
        return outputs

    def _checked(self, batch):
        if not isinstance(batch, dict) or "token_ids" not in batch:
            received = sorted(batch) if isinstance(batch, dict) else type(batch).__name__
            raise ValueError(f"A batch must be a dict with `token_ids`. Received: {received}")
        token_ids = batch["token_ids"]
        if len(token_ids.shape) != 2:
            raise ValueError(
                f"`token_ids` must have the shape [batch, length]. Received: {token_ids.shape}"
            )
        length = token_ids.shape[1]
        if (
            length is not None
            and length > self.config.max_positions
            and "position_ids" not in batch
        ):
            raise ValueError(
                f"A row holds at most max_positions={self.config.max_positions} tokens. "
                f"Received rows of {length}; truncate them or take a model with more positions."
            )
        padding_mask = batch.get("padding_mask")
        if padding_mask is None:
            padding_mask = tf.cast(token_ids != self.config.pad_token_id, tf.int32)
        return token_ids, tf.cast(padding_mask, tf.int32)

    def _position_ids(self, batch, layout):
        if "position_ids" in batch:
            return batch["position_ids"]
        return tf.broadcast_to(tf.range(layout.length)[None, :], [layout.batch_size, layout.length])

    def _padded(self, tokens_TH, layout):
        padded_BSH = layout.to_padded(tokens_TH)
        if layout.unpadded:
            return padded_BSH
        return padded_BSH * tf.cast(layout.padding_mask, padded_BSH.dtype)[:, :, None]

    def get_config(self):
        return {
            "config": self.config.to_dict(),
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(
            EncoderConfig(**config["config"]),
            dtype=keras.dtype_policies.deserialize(config["dtype"]),
            name=config["name"],
        )
