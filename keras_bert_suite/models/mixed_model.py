"""Several models on one encoder, for batches whose rows ask any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from keras_bert_suite.layers.attachment import put, take_out
from keras_bert_suite.layers.variants import (
    BottleneckVariants,
    DeepPromptVariants,
    DenseVariants,
    LayerNormVariants,
    chosen_variants,
)
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder

_NORMS = ("attention_norm", "feed_forward_norm")
_ADAPTERS = ("attention_adapter", "feed_forward_adapter")
_DENSE_LAYERS = (
    "attention.query_key_value",
    "attention.output_dense",
    "feed_forward.intermediate",
    "feed_forward.output_dense",
)
_OF_TOKENS = ("token_ids", "segment_ids", "padding_mask", "position_ids")
_LONG_OUTPUTS = ("sequence_output", "all_hidden_states")
_NOT_FOR_HEADS = ("variant_ids", "widths")


class MixedModel:
    """Gives the logits of several models, each for its own rows, by one pass of the encoder.

    What the models have in common is computed once for all rows; where they differ each row gets
    what its own model has (layers/variants.py). The heads and the pooler see their own rows alone.
    The answers are those of the single models to float tolerance. For answers, not for training.

    Args:
      encoder: one of the models' encoders without what its tuning attached and without a pooler,
        on the same variables; gets the layers of all models.
      models: by name, tuned from one base whose variables they share.

    Attributes:
      names: the models', in the order of their numbers.

    Raises:
      ValueError: the models differ in something that cannot be told apart row by row.
    """

    def __init__(self, encoder: Encoder, models: Mapping[str, BertModel]):
        self.names = tuple(models)
        self._encoder, self._models = encoder, dict(models)
        _Combination(encoder, {name: model.encoder for name, model in models.items()}).make()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, dict[str, tf.Tensor]]:
        """Returns {name: logits of the model, of its own rows in their order}.

        Args:
          batch: see Encoder; rows of one example each. `variant_ids`, int32 [batch], is the number
            of each row's model. A key "NAME/KEY" is KEY for the heads of one model; other keys are
            for all. `widths`, int32 [models], is optional: a model's heads see so many positions of
            its rows, which must hold their tokens.
        """
        variant_ids, mask = batch["variant_ids"], self._encoder.padding_mask(batch)
        all_layers = any(model.uses_all_layers for model in self._models.values())
        tokens = {key: batch[key] for key in _OF_TOKENS if key in batch}
        with chosen_variants(variant_ids, layout=self._encoder.layout(mask)):
            encoded = self._encoder(tokens, return_all_hidden_states=all_layers)
        shared = {key: value for key, value in batch.items() if key not in _NOT_FOR_HEADS}
        logits = {}
        for number, (name, model) in enumerate(self._models.items()):
            width = batch["widths"][number] if "widths" in batch else None
            logits[name] = self._answers(
                model,
                encoded,
                _of_model(shared, name),
                rows=tf.where(variant_ids == number)[:, 0],
                width=width,
            )
        return logits

    @staticmethod
    def _answers(model, encoded, batch, *, rows, width):
        encoded, batch = tf.nest.map_structure(
            lambda tensor: tf.gather(tensor, rows), (dict(encoded), batch)
        )
        if width is not None:
            for part, keys in ((encoded, _LONG_OUTPUTS), (batch, _OF_TOKENS)):
                for key in keys:
                    if key in part:
                        part[key] = tf.nest.map_structure(lambda x: x[:, :width], part[key])
        if model.encoder.pooler is not None:
            encoded["pooled_output"] = model.encoder.pooler(encoded["pooled_output"])
        return model.answers(encoded, batch, training=False)


def _of_model(batch: Mapping[str, Any], name: str) -> dict[str, Any]:
    own = {key: value for key, value in batch.items() if "/" not in key}
    return own | {
        key.removeprefix(f"{name}/"): value
        for key, value in batch.items()
        if key.startswith(f"{name}/")
    }


class _Combination:
    """Puts into an encoder the layers of all variants, of which each row is told its own.

    Args:
      encoder: plain, on variables of one of the variants.
      variants: encoders that share the variables that they have not tuned.
    """

    def __init__(self, encoder: Encoder, variants: Mapping[str, Encoder]):
        self._encoder, self._variants = encoder, variants
        self._told_apart: set[int] = set()

    def make(self) -> None:
        blocks = [f"blocks.{index}." for index in range(len(self._encoder.blocks))]
        for path in (
            "embeddings.layer_norm",
            *(block + name for block in blocks for name in _NORMS),
        ):
            self._norm(path)
        for path in (block + name for block in blocks for name in _DENSE_LAYERS):
            self._dense(path)
        for path in (block + name for block in blocks for name in _ADAPTERS):
            self._slot(path, BottleneckVariants)
        self._slot("deep_prompt", DeepPromptVariants)
        self._require_all_told_apart()

    def _norm(self, path: str) -> None:
        norms = self._of_variants(path)
        gammas, betas = [norm.gamma for norm in norms], [norm.beta for norm in norms]
        if self._differ(gammas) | self._differ(betas):
            owner, name = self._encoder.slot(path)
            take_out(owner, name)
            put(owner, name, LayerNormVariants(norms))

    def _dense(self, path: str) -> None:
        layers = self._of_variants(path)
        biases, updates = [layer.bias for layer in layers], [layer.update for layer in layers]
        if self._differ(biases) | self._attached(updates):
            dense = getattr(*self._encoder.slot(path))
            put(dense, "update", DenseVariants(dense.bias, biases=biases, updates=updates))

    def _slot(self, path: str, kind: Callable[[Sequence[Any]], Any]) -> None:
        layers = self._of_variants(path)
        if self._attached(layers):
            owner, name = self._encoder.slot(path)
            put(owner, name, kind(layers))

    def _of_variants(self, path: str) -> list[Any]:
        return [getattr(*variant.slot(path)) for variant in self._variants.values()]

    def _differ(self, variables: Sequence[Any]) -> bool:
        self._told_apart |= _ids(variables)
        return len(_ids(variables)) > 1

    def _attached(self, layers: Sequence[Any]) -> bool:
        self._told_apart |= _ids(v for layer in layers if layer is not None for v in layer.weights)
        return any(layer is not None for layer in layers)

    def _require_all_told_apart(self) -> None:
        common = set.intersection(*(_ids(variant.weights) for variant in self._variants.values()))
        for name, variant in self._variants.items():
            # The pooler's work is done with the head's, model by model.
            of_pooler = _ids(variant.pooler.weights if variant.pooler else ())
            for variable in variant.weights:
                if not _ids([variable]) <= common | of_pooler | self._told_apart:
                    raise ValueError(
                        "Models are computed in one pass where a row's own LoRA, adapters, deep "
                        "prompts, LayerNorms and biases are all that differs. "
                        f"{name} has its own {variable.path}."
                    )


def _ids(variables: Iterable[Any]) -> set[int]:
    return {id(variable.value) for variable in variables}
