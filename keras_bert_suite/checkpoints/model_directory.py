"""The model directory: one folder that every binary writes and reads, and that transformers opens.

config.json          Hugging Face's keys; what it has no key for under "keras_bert_suite"
model.safetensors    Hugging Face's tensor names; or adapter_model.safetensors, what was tuned of a
                     base that config.json refers to (adapters.py)
vocab.txt  tokenizer_config.json  special_tokens_map.json
training.json  metrics.json   what was run and what it scored, by `write_json`
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_bert_suite.checkpoints import adapters, huggingface, huggingface_config
from keras_bert_suite.checkpoints.construction import without_values
from keras_bert_suite.checkpoints.directory_heads import DirectoryHeads
from keras_bert_suite.checkpoints.huggingface import CurrentNames
from keras_bert_suite.checkpoints.huggingface_config import OWN_KEY
from keras_bert_suite.checkpoints.safetensors_file import write_safetensors
from keras_bert_suite.checkpoints.sources import (
    PEFT_CONFIG_FILE,
    PEFT_FILE,
    Source,
    find_source,
    is_tuned_part,
)
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.files import atomic_directory, atomic_write
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.head import Head

if TYPE_CHECKING:
    from keras_bert_suite.text.tokenizer import Tokenizer

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
# Published vocabularies are padded to such multiples for the hardware's sake; the rows are unused.
_PADDED_TO = (8, 64, 128)
# Made from another tokenizer, transformers would prefer it to the vocab.txt beside it.
_STALE_WITH_TOKENIZER = ("tokenizer.json",)

_log = logging.getLogger(__name__)


def save_model(
    model: BertModel | Encoder,
    directory: str | os.PathLike,
    *,
    tokenizer: Tokenizer | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Writes a model directory, complete or not at all.

    A directory that exists keeps its other files. Everything is first written beside the old files
    and then renamed over them, config.json last; until then a failure changes nothing.

    Args:
      model: a BertModel with its heads, or an encoder alone.
      directory: made if it is not there.
      tokenizer: its files are written too.
      extra: more for config.json under "keras_bert_suite", such as the task; must be JSON.

    Raises:
      ValueError: `directory` is a file, the tokenizer has another vocabulary than the model, a head
        or `extra` cannot be written.
      OSError: a file could not be written.
    """
    encoder, heads = (model, {}) if isinstance(model, Encoder) else (model.encoder, model.heads)
    if tokenizer is not None:
        _check_vocabulary(tokenizer, encoder.config.vocab_size, where=directory)
        if tokenizer.pad_id != encoder.config.pad_token_id:
            raise ValueError(
                "`pad_token_id` must be the id of [PAD] in the vocabulary, "
                f"{tokenizer.pad_id}. Received: pad_token_id={encoder.config.pad_token_id}"
            )
    tuned = model if isinstance(model, BertModel) and model.tuned else None
    if tuned is None and encoder.attached:
        raise ValueError(
            "A model directory holds a plain model, or a tuned part whose base is known. Received: "
            f"a model with {', '.join(encoder.attached[:2])}, ... Load it from its directory, or "
            "tune it by checkpoints.adapters.apply"
        )
    tensors = adapters.tensors(tuned) if tuned else huggingface.write_weights(encoder, heads)
    dtype = next(iter(tensors.values())).dtype.name
    values = huggingface_config.describe(encoder.config, heads, dtype=dtype)
    if "heads" in (extra or {}):
        raise ValueError('`extra` must not hold "heads": they are the model\'s')
    values[OWN_KEY].update(extra or {})
    if tuned:
        values[OWN_KEY].update(adapters.own_values(tuned.tuned, directory))
    weights_file = PEFT_FILE if tuned else WEIGHTS_FILE
    config = _to_json(values)

    def fill(folder: Path) -> None:
        # transformers writes "pt" here and asks for it: the layout is that of PyTorch's weights.
        write_safetensors(folder / weights_file, tensors, metadata={"format": "pt"})
        if tuned:
            adapters.write_peft_config(tuned, folder)
        if tokenizer is not None:
            tokenizer.save(folder, max_length=encoder.config.max_positions)
        (folder / CONFIG_FILE).write_text(config, encoding="utf-8")

    stale = {WEIGHTS_FILE, PEFT_FILE, PEFT_CONFIG_FILE}
    stale |= set(_STALE_WITH_TOKENIZER) if tokenizer is not None else set()
    _write_directory(Path(directory), fill, stale=sorted(stale))


def load_model(
    directory: str | os.PathLike,
    *,
    dtype: str | None = None,
    heads: Sequence[Head] | None = None,
    base_dir: str | os.PathLike | None = None,
) -> BertModel:
    """Returns the encoder and its heads with the stored weights.

    Args:
      directory: a model directory, ours or Hugging Face's, or a checkpoint of any other format of
        sources.py, which is detected.
      dtype: Keras dtype policy ("float32", "mixed_bfloat16", "bfloat16"); None takes Keras' global.
      heads: None takes all heads of the directory. Otherwise exactly these: the weights of one that
        the directory holds too are read (a classification head's labels must be equal); any other
        stays as it was initialised, and a log line says so. The directory's other heads are left
        out.
      base_dir: of a tuned part, where its base is; None takes the place that the tuned part names.

    Raises:
      FileNotFoundError: no such directory, or no config.json in it.
      ValueError: anything in it that does not fit together; names file, tensor or key.
    """
    found = find_source(directory, base_dir=base_dir)
    path, values = found.directory, found.values
    if is_tuned_part(values):
        return adapters.load(found, dtype=dtype, heads=heads)
    config = _encoder_config(found)
    for lost in found.left_out:
        _log.warning("%s: left out: %s", path, lost)
    with found.tensors() as file:
        source = CurrentNames(file, config.family)
        huggingface.check_sizes(config.to_huggingface(), config.num_layers, source)
        directory_heads = DirectoryHeads(path, config, values, source, dtype=dtype)
        if heads is None:
            wanted = directory_heads.all()
            filled = wanted
        else:
            wanted = list(heads)
            filled = directory_heads.equal_to(wanted)
        config = huggingface.with_pooler_as_stored(config, source, heads)
        with without_values() as unfilled:
            model = BertModel(Encoder(config, dtype=dtype), wanted, dtype=dtype)
        if not huggingface.read_weights(source, model.encoder, {h.kind: h for h in filled}):
            _log.warning("%s: no pooler in it; the encoder's starts fresh", path)
        unfilled.initialize()
    return model


def load_encoder(
    directory: str | os.PathLike,
    *,
    dtype: str | None = None,
    base_dir: str | os.PathLike | None = None,
) -> Encoder:
    """Returns the encoder alone with its stored weights; heads of any kind are left out.

    Args, Raises: see `load_model`.
    """
    return load_model(directory, dtype=dtype, heads=(), base_dir=base_dir).encoder


def load_tokenizer(
    directory: str | os.PathLike, *, base_dir: str | os.PathLike | None = None
) -> Tokenizer:
    """Returns the directory's tokenizer, whose vocabulary fits the model.

    Args:
      directory: see `load_model`; a tuned part without a tokenizer of its own has its base's.
      base_dir: see `load_model`.

    Raises:
      ValueError: vocab.txt and config.json disagree, or the tokenizer's files are not right.
    """
    found = find_source(directory, base_dir=base_dir)
    config = _encoder_config(found)
    tokenizer = found.tokenizer()
    _check_vocabulary(tokenizer, config.vocab_size, where=directory)
    return tokenizer


def read_config(
    directory: str | os.PathLike, *, base_dir: str | os.PathLike | None = None
) -> dict[str, Any]:
    """Returns config.json as it is; what this package added is under "keras_bert_suite".

    Another format's config comes under Hugging Face's keys. For `base_dir` see `load_model`.

    Raises:
      FileNotFoundError: no such directory, or no config.json in it.
      ValueError: `directory` is a file, or config.json is not a JSON object.
    """
    return find_source(directory, base_dir=base_dir).values


def read_encoder_config(
    directory: str | os.PathLike, *, base_dir: str | os.PathLike | None = None
) -> EncoderConfig:
    """Returns the configuration of the directory's encoder; reads no weights.

    For `base_dir` see `load_model`.

    Raises: see `read_config`; ValueError also for an encoder that is no BERT.
    """
    return _encoder_config(find_source(directory, base_dir=base_dir))


def write_json(directory: str | os.PathLike, name: str, value: Any) -> None:
    """Writes a file such as training.json or metrics.json, complete or not at all.

    Raises:
      ValueError: the value is not JSON (NaN is not).
      OSError: the file could not be written.
    """
    text = _to_json(value)
    with atomic_write(Path(directory) / name) as file:
        file.write(text)


def _to_json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"Cannot be written as JSON: {error}") from error


def _encoder_config(found: Source) -> EncoderConfig:
    try:
        return EncoderConfig.from_huggingface(found.values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{found.config_file}: {error}") from error


def _check_vocabulary(tokenizer: Tokenizer, vocab_size: int, *, where: Any) -> None:
    """Raises ValueError unless the ids of both are the same, but for rows that pad the table."""
    size = tokenizer.vocab_size
    padded = {-(-size // multiple) * multiple for multiple in _PADDED_TO}
    if vocab_size != size and vocab_size not in padded:
        raise ValueError(
            f"{where}: the tokenizer and the model must have the same vocabulary. Received: "
            f"{size} entries in vocab.txt, vocab_size={vocab_size} in config.json"
        )


def _write_directory(target: Path, fill: Callable[[Path], None], *, stale: Sequence[str]) -> None:
    """Lets `fill` write files and puts them in `target`, all of them or none."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target}: must be a directory to write a model to. Found: a file")
    if not target.exists():
        with atomic_directory(target) as folder:
            fill(folder)
        return
    # Inside the directory: the rename stays on its file system, and needs no right to its parent.
    staged = target / ".saving"
    with atomic_directory(staged) as folder:
        fill(folder)
    written = sorted(os.listdir(staged), key=lambda name: (name == CONFIG_FILE, name))
    for name in written:
        os.replace(staged / name, target / name)
    for name in set(stale) - set(written):
        (target / name).unlink(missing_ok=True)
    staged.rmdir()
