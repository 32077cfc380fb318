"""Compares what two programs compute from one checkpoint, layer by layer."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_bert_suite.checkpoints.keras_hub_tables import CLASSES, OF_FAMILY
from keras_bert_suite.checkpoints.sources import Source
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel

_ROWS, _LENGTH, _SEED = 3, 24, 20181011  # the rows are full, half and one token long
POOLED = "pooled_output"
_LIBRARIES = {"huggingface": "transformers", "keras_hub": "keras_hub"}
# transformers' outputs -> our names; what `logits` are, the end of the class's name says.
_OUTPUTS = {
    "pooler_output": POOLED,
    "prediction_logits": "mlm_logits",
    "seq_relationship_logits": "nsp_logits",
}
_LOGITS = {
    "ForMaskedLM": "mlm_logits",
    "ForNextSentencePrediction": "nsp_logits",
    "ForSequenceClassification": "label_logits",
}


def probe(config: EncoderConfig) -> dict[str, np.ndarray]:
    """Returns a batch to compare models by: random ids, padding, two segments where there are.

    Returns:
      dict of int32 [3, up to 24]: token_ids, segment_ids, padding_mask.
    """
    length = min(_LENGTH, config.max_positions)
    generator = np.random.default_rng(_SEED)
    lengths = np.array([[length], [-(-length // 2)], [1]])
    padding_mask = (np.arange(length)[None] < lengths).astype(np.int32)
    token_ids = generator.integers(0, config.vocab_size, [_ROWS, length], dtype=np.int32)
    segments = (np.arange(length)[None] >= lengths // 2).astype(np.int32)
    return {
        "token_ids": np.where(padding_mask == 1, token_ids, config.pad_token_id).astype(np.int32),
        "segment_ids": np.minimum(segments, max(config.num_segments - 1, 0)) * padding_mask,
        "padding_mask": padding_mask,
    }


def answers(model: BertModel, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns what our model computes: name of a layer or of logits -> float32 array."""
    encoded = model.encoder(batch, return_all_hidden_states=True)
    found = _hidden_states(encoded["all_hidden_states"])
    if encoded.get(POOLED) is not None:
        found[POOLED] = np.asarray(encoded[POOLED], np.float32)
    logits = model(batch) if model.heads else {}
    return found | {name: np.asarray(value, np.float32) for name, value in logits.items()}


def keras_hub_answers(source: Source, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns what KerasHub computes from a preset, under the names of `answers`."""
    import keras
    import keras_hub

    directory, family = str(source.directory), source.values["model_type"]
    cls = getattr(keras_hub.models, CLASSES[family])
    backbone = cls.from_preset(directory, dtype="float32")
    if family != "bert":
        return _last_layer(backbone, batch, with_pooler=OF_FAMILY[family].has_pooler)
    layers = [backbone.get_layer("embeddings_layer_norm"), *backbone.transformer_layers]
    model = keras.Model(backbone.input, [*(layer.output for layer in layers), backbone.output])
    *hidden, last = model(dict(batch))
    found = _hidden_states(hidden)
    found[POOLED] = np.asarray(last[POOLED], np.float32)
    if source.values["architectures"] == ["BertForSequenceClassification"]:
        cls = keras_hub.models.BertTextClassifier
        task = cls.from_preset(directory, preprocessor=None, dtype="float32")
        found["label_logits"] = np.asarray(task(dict(batch)), np.float32)
    return found


def _last_layer(
    backbone: Any, batch: Mapping[str, np.ndarray], *, with_pooler: bool
) -> dict[str, np.ndarray]:
    """What a backbone other than BERT's gives without being taken apart."""
    outputs = backbone({name: batch[name] for name in backbone.input})
    outputs = outputs if isinstance(outputs, dict) else {"sequence_output": outputs}
    last = np.asarray(outputs["sequence_output"], np.float32)
    found = {f"layer_{backbone.num_layers - 1}": last}
    if with_pooler and POOLED in outputs:
        found[POOLED] = np.asarray(outputs[POOLED], np.float32)
    return found


def transformers_answers(source: Source, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns what transformers computes from a directory, under the names of `answers`.

    Raises:
      ValueError: transformers does not open it, or not whole; says why.
    """
    # No requirements of this package: found by name where somebody has installed them.
    torch, transformers = map(importlib.import_module, ("torch", "transformers"))
    name = (source.values.get("architectures") or ["AutoModel"])[0]
    cls = getattr(transformers, name, transformers.AutoModel)
    try:
        model, report = cls.from_pretrained(str(source.directory), output_loading_info=True)
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"transformers does not open {source.directory}: {reason}") from error
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"transformers finds no {', '.join(missing[:3])} in {source.directory}")
    inputs = {
        "input_ids": torch.tensor(batch["token_ids"].astype(np.int64)),
        "attention_mask": torch.tensor(batch["padding_mask"].astype(np.int64)),
    }
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = torch.tensor(batch["segment_ids"].astype(np.int64))
    with torch.no_grad():
        outputs = model.eval().float()(**inputs, output_hidden_states=True)
    found = _hidden_states([state.numpy() for state in outputs.hidden_states])
    logits = next((ours for end, ours in _LOGITS.items() if name.endswith(end)), "")
    for theirs, ours in {**_OUTPUTS, "logits": logits}.items():
        if ours and outputs.get(theirs) is not None:
            found[ours] = outputs[theirs].numpy()
    return found


def compare_with_library(
    source: Source, ours: Mapping[str, np.ndarray], batch: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Returns a `report` against the library that a checkpoint's format belongs to.

    Where that library is not installed, or does not open the checkpoint, {"library", "reason"}.
    """
    library = _LIBRARIES.get(source.format)
    if library is None:
        return {"library": "none", "reason": "no library of this format can be installed"}
    try:
        if library == "keras_hub":
            theirs = keras_hub_answers(source, batch)
        elif not _is_installed("transformers", "torch"):
            return {"library": library, "reason": "transformers and torch are not installed"}
        else:
            theirs = transformers_answers(source, batch)
    except ValueError as error:
        return {"library": library, "reason": str(error)}
    return report(differences(ours, theirs, batch["padding_mask"]), library)


def _is_installed(*names: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in names)


def differences(
    ours: Mapping[str, np.ndarray],
    theirs: Mapping[str, np.ndarray],
    padding_mask: np.ndarray,
) -> dict[str, float]:
    """Returns the largest absolute difference of each layer that both have; padding is left out."""
    found = {}
    for name in ours:
        if name not in theirs:
            continue
        difference = np.abs(ours[name].astype(np.float64) - theirs[name].astype(np.float64))
        if difference.ndim == 3:
            difference = difference[padding_mask == 1]
        found[name] = float(difference.max())
    return found


def report(layers: Mapping[str, float], library: str) -> dict[str, Any]:
    """Returns one comparison for parity.json."""
    return {
        "library": library,
        "largest_difference": max(layers.values()),
        "layers": dict(layers),
    }


def _hidden_states(states: Any) -> dict[str, np.ndarray]:
    names = ["embeddings", *(f"layer_{index}" for index in range(len(states) - 1))]
    return {name: np.asarray(s, np.float32) for name, s in zip(names, states, strict=True)}
