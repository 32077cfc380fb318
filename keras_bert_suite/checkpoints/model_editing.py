"""A model directory made from another: words, positions, layers, dtype.

surgery.py and vocabulary_surgery.py change models; here is what their directories need besides.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_suite.checkpoints import adapters, surgery, vocabulary_surgery
from keras_bert_suite.checkpoints.huggingface_config import OWN_KEY
from keras_bert_suite.checkpoints.model_directory import (
    load_model,
    load_tokenizer,
    save_model,
)
from keras_bert_suite.checkpoints.sources import find_source
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.text.tokenizer import Tokenizer

# `word=old1+old2` in a list of words: neither character can be inside a word.
_FROM, _AND = "=", "+"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edits:
    """What is changed; None leaves it as it is.

    Attributes:
      vocabulary: entries of the new vocabulary.
      words: added to it: word -> the old words that its row is the mean of; none for `new_rows`.
      new_rows: "pieces" or "mean", see vocabulary_surgery.py.
      max_positions: tokens of the longest row.
      positions: "copy" or "interpolate", see surgery.py.
      num_layers: the first layers to keep.
      local_attention: tokens of the window that local layers see.
      global_attention_every: of so many layers one sees all tokens; with local_attention.
      dtype: "float32", "bfloat16" or "float16" for the stored weights; None keeps the directory's.
      merge: whether a tuned part shall become a plain model; the other edits imply it.
      base_dir: where the base of a tuned part is, see `load_model`; no edit by itself.
    """

    vocabulary: Sequence[str] | None = None
    words: Mapping[str, Sequence[str]] | None = None
    new_rows: str = "pieces"
    max_positions: int | None = None
    positions: str = "copy"
    num_layers: int | None = None
    local_attention: int | None = None
    global_attention_every: int = 3
    dtype: str | None = None
    merge: bool = False
    base_dir: str | os.PathLike | None = None


def edit_model(
    model_dir: str | os.PathLike,
    output_dir: str | os.PathLike,
    edits: Edits,
) -> list[str]:
    """Writes an edited copy of a model directory; heads, labels and task stay.

    Args:
      model_dir: what `load_model` reads.
      output_dir: another directory; appears complete or not at all.
      edits: at least one.

    Returns:
      What changed, a phrase each ("positions: 512 -> 1024").

    Raises:
      ValueError: no edits, one directory for both, an edit that does not fit the model; nothing is
        written then.
      OSError: something could not be read or written.
    """
    _check_asked(model_dir, output_dir, edits)
    found = find_source(model_dir, base_dir=edits.base_dir)
    values = found.values
    before = load_model(model_dir, dtype="float32", base_dir=edits.base_dir)
    tuned = before.tuned
    if edits.merge and tuned is None:
        raise ValueError(
            f"{model_dir} is a plain model already: there is nothing to merge. Leave --merge out"
        )
    before = adapters.merged(before)
    tokenizer = None
    words_change = edits.vocabulary is not None or edits.words is not None
    if words_change or found.with_tokenizer().has_vocabulary:
        tokenizer = load_tokenizer(model_dir, base_dir=edits.base_dir)
    dtype = edits.dtype or _stored_dtype(values, before)
    model, tokenizer = _edited(before, tokenizer, edits)
    model = surgery.cast_weights(model, dtype)
    extra = {
        key: value for key, value in values.get(OWN_KEY, {}).items() if key not in ("heads", "base")
    }
    if isinstance(length := extra.get("sequence_length"), int):
        extra["sequence_length"] = min(length, model.encoder.config.max_positions)
    save_model(model, output_dir, tokenizer=tokenizer, extra=extra)
    merging = [f"{tuned.method.name}: merged into the weights"] if tuned else []
    return merging + _changes(before, model, edits)


def read_words(file_or_list: str) -> dict[str, tuple[str, ...]]:
    """Returns the words to add, in order, with the old words that their rows come from.

    Args:
      file_or_list: the path of a file, one word a line, or words separated by commas. A word is
        `new`, or `new=old` or `new=old1+old2` for a row that is the mean of those.

    Raises:
      ValueError: an empty word or line, a word twice, a file that is not there or not UTF-8; names
        the place.
    """
    path = Path(file_or_list)
    if os.path.isfile(path):  # Path.is_file raises where a list is longer than a name may be
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: a list of words must be UTF-8. {error}") from error
        return _parsed((f"{path}, line {number}", line) for number, line in enumerate(lines, 1))
    if path.suffix or os.sep in file_or_list:
        raise ValueError(
            f"{file_or_list}: no such file, and a word to add has no {path.suffix[:1] or os.sep!r} "
            "in it. Name a file with one word a line, or give words separated by commas"
        )
    items = file_or_list.split(",")
    return _parsed((f"word {number} of the list", item) for number, item in enumerate(items, 1))


def _check_asked(model_dir: str | os.PathLike, output_dir: str | os.PathLike, edits: Edits) -> None:
    source = Path(model_dir) if os.path.isdir(model_dir) else Path(model_dir).parent
    if os.path.realpath(source) == os.path.realpath(output_dir):
        raise ValueError(
            "The edited model must go to another directory than the model's own. Received: "
            f"{output_dir} for both"
        )
    asked = (
        edits.vocabulary,
        edits.words,
        edits.max_positions,
        edits.num_layers,
        edits.local_attention,
        edits.dtype,
    )
    if all(edit is None for edit in asked) and not edits.merge:
        raise ValueError("There must be something to change. Received: no edits")


def _parsed(items: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for place, item in items:
        word, separator, given = item.strip().partition(_FROM)
        sources = tuple(given.split(_AND)) if separator else ()
        if not word or not all(sources):
            raise ValueError(
                f"{place}: must be a word, or word=old1+old2, and none of them empty. "
                f"Received: {item!r}"
            )
        if word in words:
            raise ValueError(f"{place}: a word is added once. Received again: {word!r}")
        words[word] = sources
    if not words:
        raise ValueError("There must be at least one word to add. Received: none")
    return words


def _edited(
    model: BertModel, tokenizer: Tokenizer | None, edits: Edits
) -> tuple[BertModel, Tokenizer | None]:
    if edits.num_layers is not None:  # first: what is left out need not be copied
        model = surgery.keep_layers(model, edits.num_layers)
    rows = {"new_rows": edits.new_rows}
    if edits.vocabulary is not None:
        model, tokenizer = vocabulary_surgery.swap_vocabulary(
            model, tokenizer, edits.vocabulary, **rows
        )
    if edits.words is not None:
        model, tokenizer = vocabulary_surgery.add_words(model, tokenizer, edits.words, **rows)
    if edits.max_positions is not None:
        model = surgery.resize_positions(model, edits.max_positions, method=edits.positions)
    if edits.local_attention is not None:
        model = surgery.attend_locally(
            model, edits.local_attention, global_every=edits.global_attention_every
        )
    return model, tokenizer


def _stored_dtype(values: Mapping[str, Any], model: BertModel) -> str:
    """The dtype that config.json names if it holds the weights to the bit, else float32."""
    named = values.get("dtype") or values.get("torch_dtype")
    if named not in surgery.DTYPES:
        return "float32"
    for weight in model.weights:
        value = surgery.weight_value(weight)
        if not np.array_equal(value.astype(named).astype(value.dtype), value):
            return "float32"
    return named


def _changes(before: BertModel, after: BertModel, edits: Edits) -> list[str]:
    old, new = before.encoder.config, after.encoder.config
    asked = {
        "words": (edits.vocabulary or edits.words, old.vocab_size, new.vocab_size),
        "positions": (edits.max_positions, old.max_positions, new.max_positions),
        "layers": (edits.num_layers, old.num_layers, new.num_layers),
    }
    changes = [f"{name}: {a:,} -> {b:,}" for name, (edit, a, b) in asked.items() if edit]
    if edits.local_attention:
        changes.append(f"attention: windows of {new.local_attention} in local layers")
    return changes + ([f"weights: {edits.dtype}"] if edits.dtype else [])
