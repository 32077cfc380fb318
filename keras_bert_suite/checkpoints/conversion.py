"""From any checkpoint that is read here to a Hugging Face directory or a KerasHub preset."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_bert_suite.checkpoints import huggingface, keras_hub_preset, parity
from keras_bert_suite.checkpoints.huggingface_config import OWN_KEY
from keras_bert_suite.checkpoints.model_directory import (
    load_encoder,
    load_model,
    load_tokenizer,
    save_model,
    write_json,
)
from keras_bert_suite.checkpoints.rename import listed
from keras_bert_suite.checkpoints.sources import Source, find_source
from keras_bert_suite.files import atomic_directory
from keras_bert_suite.models.bert_model import BertModel

if TYPE_CHECKING:
    from keras_bert_suite.text.tokenizer import Tokenizer

FORMATS = ("huggingface", "keras_hub")
PARITY_FILE = "parity.json"
# What a result may be without, when the caller says so.
ALLOWABLE = (
    "head",
    "pooler",
    "tokenizer",
    "activation",
    "epsilon",
    "dropout",
    "local_attention",
)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What came of it.

    Attributes:
      format: of the source.
      heads: kinds of the heads that came along.
      notes: what the result is without, one sentence each.
      comparisons: name -> {"library", "largest_difference", "layers"}, or {"library", "reason"}.
    """

    format: str
    heads: list[str]
    notes: list[str]
    comparisons: dict[str, dict[str, Any]]


def convert(
    source: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    file_format: str = "huggingface",
    allow_missing: Sequence[str] = (),
) -> Conversion:
    """Converts a checkpoint and compares the result with it; writes all or nothing.

    Args:
      source: anything that `find_source` finds.
      output_dir: made; must not be there, or be empty.
      file_format: "huggingface" (our model directory) or "keras_hub".
      allow_missing: words of ALLOWABLE: what the result may be without. "head" leaves out heads
        that have no place, "tokenizer" accepts a source without, "pooler" gives a KerasHub preset
        one of zeros, "activation", "epsilon", "dropout" and "local_attention" accept the target's
        own.

    Raises:
      FileNotFoundError: no such source.
      ValueError: a wrong argument, a source that cannot be read, something in it that the target
        has no place for, or a result that does not give the source's numbers.
      OSError: the output could not be written.
    """
    target = Path(output_dir)
    _check_arguments(target, file_format, allow_missing)
    found = find_source(source)
    notes = _Notes(allow_missing)
    for lost in found.left_out:
        notes.add("head", lost)
    model = _load(source, notes)
    tokenizer = _tokenizer(source, notes)
    with atomic_directory(target) as folder:
        if file_format == "keras_hub":
            model = _write_keras_hub(found, folder, model, tokenizer, notes)
        else:
            extra = dict(found.values.get(OWN_KEY) or {})
            extra.pop("heads", None)
            save_model(model, folder, tokenizer=tokenizer, extra=extra)
        comparisons = _compare(found, model, folder)
        result = Conversion(found.format, list(model.heads), notes.taken, comparisons)
        write_json(folder, PARITY_FILE, dataclasses.asdict(result))
    return result


class _Notes:
    """What the result is without; an error unless it was allowed."""

    def __init__(self, allowed: Sequence[str]):
        self._allowed = allowed
        self.taken: list[str] = []

    def add(self, word: str, reason: str) -> None:
        if word not in self._allowed:
            raise ValueError(
                f"{reason.rstrip('.')}. To convert all the same: --allow_missing={word}"
            )
        self.taken.append(f"{word}: {reason}")


def _check_arguments(target: Path, file_format: str, allow_missing: Sequence[str]) -> None:
    if file_format not in FORMATS:
        raise ValueError(
            f"The format must be one of {', '.join(FORMATS)}. Received: {file_format!r}"
        )
    for word in allow_missing:
        if word not in ALLOWABLE:
            raise ValueError(
                f"What may be missing must be of {', '.join(ALLOWABLE)}. Received: {word!r}"
            )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target}: exists already. Choose another place or remove it first")


def _load(source: str | os.PathLike, notes: _Notes) -> BertModel:
    try:
        return load_model(source, dtype="float32")
    except ValueError as error:
        # What is wrong with the encoder too is raised here; what remains are its heads.
        model = BertModel(load_encoder(source, dtype="float32"), [])
        notes.add("head", str(error))
        return model


def _tokenizer(source: str | os.PathLike, notes: _Notes) -> Tokenizer | None:
    try:
        return load_tokenizer(source)
    except ValueError as error:
        notes.add("tokenizer", str(error))
        return None


def _write_keras_hub(
    found: Source, folder: Path, model: BertModel, tokenizer: Tokenizer | None, notes: _Notes
) -> BertModel:
    """Writes the preset; returns the model without the heads that have no place in it."""
    config = model.encoder.config
    with found.tensors() as stored:
        has_pooler = any("pooler" in name for name in stored.names)
    obstacles = keras_hub_preset.obstacles(config, model.heads, has_pooler=has_pooler)
    for word, reason in obstacles.items():
        notes.add(word, reason)
    heads = {kind: head for kind, head in model.heads.items() if kind == "classification"}
    keras_hub_preset.write_preset(
        folder,
        config,
        huggingface.write_weights(model.encoder, heads),
        classifier=heads.get("classification"),
        tokenizer=tokenizer,
    )
    return BertModel(model.encoder, list(heads.values()))


def _compare(found: Source, model: BertModel, folder: Path) -> dict[str, dict[str, Any]]:
    """Compares the source as it was read, the result read again, and what their libraries say."""
    batch = parity.probe(model.encoder.config)
    result = load_model(folder, dtype="float32")
    _check_weights(model, result)
    ours, reread = parity.answers(model, batch), parity.answers(result, batch)
    layers = parity.differences(ours, reread, batch["padding_mask"])
    return {
        "result_reread": parity.report(layers, "keras_bert_suite"),
        "source_library": parity.compare_with_library(found, ours, batch),
        "result_library": parity.compare_with_library(find_source(folder), reread, batch),
    }


def _check_weights(model: BertModel, result: BertModel) -> None:
    """A result with other weights than its source must not appear."""
    ours, theirs = (huggingface.write_weights(m.encoder, m.heads) for m in (model, result))
    wrong = [name for name in ours if not np.array_equal(ours[name], theirs[name])]
    if wrong:
        raise ValueError(f"The result, read again, has other weights: {listed(wrong)}")
