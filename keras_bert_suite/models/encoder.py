"""The encoder as a Keras model: BERT and its relatives, told apart by their configuration alone."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.layers.attachment import put, take_out
from keras_bert_suite.layers.embeddings import Embeddings, run_starts
from keras_bert_suite.layers.encoder_block import EncoderBlock
from keras_bert_suite.layers.token_layout import TokenLayout, first_tokens
from keras_bert_suite.models.encoder_batch import checked_token_ids
from keras_bert_suite.models.token_export import TokenExport

# Up to this length a row's attention is computed at once, which is faster than in blocks.
_MOST_AT_ONCE = 1024


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class Encoder(TokenExport):
    """Turns token ids into one vector per token and one per row.

    The batch is padded, the work is not: embeddings, dense layers and norms see the real tokens
    only. Where shapes must be static (XLA, TPU) the same layers compute every position; the
    answers are equal to float tolerance. Padding never influences a real token, and comes back
    as zeros.

    Args:
      config: EncoderConfig. All weights exist after construction.
      dtype: Keras dtype policy, such as "mixed_bfloat16"; None takes the global one.

    Raises:
      ValueError: `config` is no EncoderConfig.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3.
    """

    # Keras would choose XLA by itself in a plain `fit`, and XLA compiles anew for each shape of a
    # batch.
    supports_jit = False
    # Slots of tuning methods, see layers/attachment.py
    deep_prompt: Any = None
    soft_prompt: Any = None

    def __init__(self, config: EncoderConfig, *, dtype=None, name="encoder", **kwargs):
        super().__init__(dtype=dtype, name=name, **kwargs)
        if not isinstance(config, EncoderConfig):
            raise ValueError(
                "`config` must be an EncoderConfig: EncoderConfig.from_name, .from_json_file and "
                f".from_huggingface make one. Received: {config!r:.80}"
            )
        self.supports_jit = False
        self.config = config
        self.embeddings = Embeddings(
            vocab_size=config.vocab_size,
            max_positions=config.max_positions + config.position_offset,
            num_segments=config.num_segments,
            hidden_size=config.hidden_size,
            embedding_size=config.embedding_size,
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
            for index in range(1 if config.share_layers else config.num_layers)
        ]
        self.pooler = self._make_pooler() if config.use_pooler else None
        self.attached: tuple[str, ...] = ()
        self.build()

    def attach(self, layers):
        """Puts a tuning method's layers into their slots; they are saved with the encoder.

        Args:
          layers: path of a slot from here ("blocks.0.attention_adapter") -> Attachment.

        Raises:
          ValueError: no such slot, or it is taken.
        """
        for path, layer in layers.items():
            put(*self.slot(path), layer)
        self.attached = (*self.attached, *layers)

    def detach(self):
        """Empties all slots; returns what was in them, for `attach`."""
        layers = {path: take_out(*self.slot(path)) for path in self.attached}
        self.attached = ()
        return layers

    def attachments(self):
        """Returns {path: layer} of the slots that are filled."""
        return {path: getattr(*self.slot(path)) for path in self.attached}

    def slot(self, path):
        """Returns (layer, name of its attribute) of a path as in `attach`."""
        *parts, slot = path.split(".")
        owner = self
        for part in parts:
            owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
        return owner, slot

    def _make_pooler(self):
        return keras.layers.Dense(
            self.config.hidden_size,
            activation="tanh",
            kernel_initializer=keras.initializers.TruncatedNormal(
                stddev=self.config.initializer_range
            ),
            dtype=self.dtype_policy,
            name="pooler",
        )

    def build(self, input_shape=None):
        self.embeddings.build()
        for block in self.blocks:
            block.build()
        if self.pooler is not None:
            self.pooler.build((None, self.config.hidden_size))

    def call(self, batch, training=None, return_all_hidden_states=False):
        """Returns the encoded batch.

        Args:
          batch: dict of int32 [batch, length]: `token_ids` in [0, vocab_size); `padding_mask`, 1 =
            real token (default: wherever token_ids is not the padding id); `segment_ids` in [0,
            num_segments) (default 0; not read where there is one segment or none); `position_ids`
            in [0, max_positions) (default 0, 1, 2, ... in each row). Rows that hold several
            examples bring `row_ids`, the number of each token's example (1, 2, ...; 0 = padding,
            the default of padding_mask): a token sees its own example alone, and the default of
            position_ids starts anew where row_ids changes; and `cls_positions` [batch, examples],
            where each example begins, for the pooled output. Other keys are left alone.
          training: bool; True applies dropout.
          return_all_hidden_states: bool; True adds every layer's output.

        Returns:
          dict: `sequence_output` [batch, length, hidden], zeros in the padding; `pooled_output`
          [batch, hidden], a dense layer and tanh on the first position, or, without a pooler, the
          first position itself; with `cls_positions` [batch, examples, hidden]; on request
          `all_hidden_states`, a tuple of num_layers + 1 tensors like sequence_output, the
          embeddings first. In the compute dtype. A row of padding alone gives finite numbers.

        Raises:
          ValueError: `token_ids` is missing, ragged or not of rank 2; another key has another
            shape; rows longer than max_positions bring neither position_ids nor row_ids.
        """
        token_ids = checked_token_ids(batch, max_positions=self.config.max_positions)
        layout = self.layout(self.padding_mask(batch), row_ids=self._row_ids(batch))
        tokens_TH = self.embeddings(
            layout.to_stream(token_ids),
            layout.to_stream(self._position_ids(batch, layout)),
            self._segment_stream(batch, layout),
            training=training,
        )
        if self.soft_prompt is not None:
            tokens_TH, layout = self._with_prompt(tokens_TH, layout, batch, training)
        hidden_states = [tokens_TH]
        for index in range(self.config.num_layers):
            block = self.blocks[0 if self.config.share_layers else index]
            deep = self.deep_prompt
            prefix = None if deep is None else functools.partial(deep.prefix, index)
            tokens_TH = block(
                tokens_TH,
                layout=layout,
                training=training,
                prefix=prefix,
                reach=self.config.reach(index),
            )
            hidden_states.append(tokens_TH)
        sequence_BSH = self._padded(tokens_TH, layout)
        first_BH = first_tokens(sequence_BSH, batch)
        outputs = {
            "sequence_output": sequence_BSH,
            "pooled_output": first_BH if self.pooler is None else self.pooler(first_BH),
        }
        if return_all_hidden_states:
            outputs["all_hidden_states"] = tuple(self._padded(x, layout) for x in hidden_states)
        return outputs

    def layout(self, padding_mask, *, row_ids=None):
        """Returns the TokenLayout in which `call` computes a batch of such a mask."""
        long_rows = self.config.max_positions > _MOST_AT_ONCE
        return TokenLayout(padding_mask, row_ids=row_ids, long_rows=long_rows, even=True)

    def padding_mask(self, batch):
        """Returns the batch's `padding_mask`, int32.

        Without one, padding is where `row_ids` are 0, or else where the padding id stands.
        """
        if batch.get("padding_mask") is not None:
            return tf.cast(batch["padding_mask"], tf.int32)
        if "row_ids" in batch:
            return tf.cast(tf.not_equal(batch["row_ids"], 0), tf.int32)
        return tf.cast(batch["token_ids"] != self.config.pad_token_id, tf.int32)

    @staticmethod
    def _row_ids(batch):
        return tf.cast(batch["row_ids"], tf.int32) if "row_ids" in batch else None

    def _position_ids(self, batch, layout):
        """Rows of the position table, [batch, length].

        The offset is added to the column, holes in the mask or not. transformers counts RoBERTa's
        real tokens instead; the two differ in rows that are padded elsewhere than at the end.
        """
        offset = self.config.position_offset
        if "position_ids" in batch:
            return batch["position_ids"] + offset if offset else batch["position_ids"]
        columns = tf.range(offset, layout.length + offset) if offset else tf.range(layout.length)
        columns = tf.broadcast_to(columns[None, :], [layout.batch_size, layout.length])
        row_ids = self._row_ids(batch)
        return columns if row_ids is None else columns - run_starts(row_ids)

    def _segment_stream(self, batch, layout):
        # With one segment there is nothing to choose, and tokenizers of such families may number
        # the second text 1 all the same.
        if self.config.num_segments < 2 or "segment_ids" not in batch:
            return None
        return layout.to_stream(batch["segment_ids"])

    def _with_prompt(self, tokens_TH, layout, batch, training):
        if "row_ids" in batch:
            raise ValueError(
                "A soft prompt stands before rows of one example each. Received: `row_ids`"
            )
        prompt_PH = self.embeddings.of_vectors(self.soft_prompt.prompt_embeddings, training)
        return self.soft_prompt.prepend(tokens_TH, prompt_PH=prompt_PH, layout=layout)

    def _padded(self, tokens_TH, layout):
        padded_BSH = layout.to_padded(tokens_TH)
        if not layout.unpadded:
            padded_BSH *= tf.expand_dims(tf.cast(layout.padding_mask, padded_BSH.dtype), -1)
        return padded_BSH if self.soft_prompt is None else padded_BSH[:, self.soft_prompt.length :]

    def get_config(self):
        attached = {
            path: keras.saving.serialize_keras_object(layer)
            for path, layer in self.attachments().items()
        }
        return {
            **({"attachments": attached} if attached else {}),
            "config": self.config.to_dict(),
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        encoder = cls(
            EncoderConfig(**config["config"]),
            dtype=keras.dtype_policies.deserialize(config["dtype"]),
            name=config["name"],
        )
        encoder.attach(
            {
                path: keras.saving.deserialize_keras_object(layer)
                for path, layer in config.get("attachments", {}).items()
            }
        )
        return encoder
