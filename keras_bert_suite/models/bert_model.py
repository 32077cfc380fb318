"""An encoder with heads: one model for pre-training and for every task."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.exact_model import ExactModel
from keras_bert_suite.models.heads.head import Head


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class BertModel(ExactModel):
    """Gives the named logits of all its heads; trains on whichever targets the batch holds.

    Args:
      encoder: Encoder.
      heads: the heads, each of another kind.

    Attributes:
      tuned: None for a plain model; otherwise what was tuned, and where the weights that were not
        are stored (checkpoints/adapters.py), so that saving writes the tuned part alone.

    Raises:
      ValueError: when two heads are of one kind.
    """

    def __init__(self, encoder: Encoder, heads: list[Head], *, name="bert_model", **kwargs):
        super().__init__(name=name, **kwargs)
        kinds = [head.kind for head in heads]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"`heads` must be of different kinds. Received: {kinds}")
        self.supports_jit = False  # see Encoder
        self.tuned: Any = None
        self.encoder = encoder
        self.heads = {head.kind: head for head in heads}
        self.term_names = tuple(term for head in heads for term in head.terms)
        self.metric_term_names = tuple(name for head in heads for name in head.metric_names)
        self.target_keys = tuple(head.target_key for head in heads if head.target_key)
        self.built = True

    def compile(self, optimizer="adamw", *, loss=None, metrics=None, **options):
        """See ExactModel.compile.

        Raises:
          ValueError: a `loss` or `metrics`, which the heads bring themselves, or what
            ExactModel.compile refuses.
        """
        if loss is not None or metrics is not None:
            raise ValueError(
                "The heads bring their own losses and metrics: compile(optimizer) is enough. "
                f"Received: loss={loss!r}, metrics={metrics!r}. A loss of your own goes around "
                "model.encoder."
            )
        super().compile(optimizer, **options)

    def call(self, batch, training=None):
        """Returns the float32 logits of every head by name (`mlm_logits`, `label_logits`).

        Args:
          batch: dict of int32 tensors; see Encoder and the heads.
          training: bool; True applies dropout.
        """
        encoded = self.encoder(
            batch, training=training, return_all_hidden_states=self.uses_all_layers
        )
        return self.answers(encoded, batch, training=training)

    @property
    def uses_all_layers(self) -> bool:
        """Whether a head reads `all_hidden_states`."""
        return any(head.uses_all_layers for head in self.heads.values())

    def answers(self, encoded, batch, training=None):
        """Returns what `call` does, of the encoder's outputs for the batch."""
        encoded = dict(encoded)
        encoded["token_embedding_table"] = tf.convert_to_tensor(
            self.encoder.embeddings.token_embeddings.embeddings.value
        )
        encoded["padding_mask"] = self.encoder.padding_mask(batch)
        outputs = {}
        for head in self.heads.values():
            outputs.update(head(encoded, batch, training=training))
        return outputs

    def loss_weights(self, batch):
        return self._merged(head.loss_weights(batch) for head in self.heads.values())

    def loss_terms(self, outputs, batch):
        return self._merged(head.loss_terms(outputs, batch) for head in self.heads.values())

    def metric_terms(self, outputs, batch):
        return self._merged(head.metric_terms(outputs, batch) for head in self.heads.values())

    @staticmethod
    def _merged(dicts):
        return {key: value for one in dicts for key, value in one.items()}

    @property
    def target_key(self) -> str:
        keys = [*self.target_keys]
        if len(keys) != 1:
            raise ValueError(
                f"Targets of a model with {len(keys)} heads must be a dict with the keys {keys}. "
                "Received one tensor."
            )
        return keys[0]

    def get_config(self):
        return {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "heads": [keras.saving.serialize_keras_object(head) for head in self.heads.values()],
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(
            keras.saving.deserialize_keras_object(config["encoder"], custom_objects=custom_objects),
            [
                keras.saving.deserialize_keras_object(head, custom_objects=custom_objects)
                for head in config["heads"]
            ],
            dtype=keras.dtype_policies.deserialize(config["dtype"]),
            name=config["name"],
        )
