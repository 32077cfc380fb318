"""Finds out which format a checkpoint has, and shows it as one thing: Hugging Face's.

a directory with config.json       Hugging Face: model.safetensors, pytorch_model.bin (both also
                                   in shards), tf_model.h5; or a preset of KerasHub
a directory with bert_config.json  Google's TF1 checkpoint or the Model Garden's TF2 checkpoint;
or albert_config.json, PREFIX      a prefix chooses one of several; ELECTRA's has no config
a file                             those weights of its directory
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_bert_suite.checkpoints import google_names, keras_hub_preset
from keras_bert_suite.checkpoints.rename import TensorSource, listed
from keras_bert_suite.checkpoints.source_tensors import open_tensors
from keras_bert_suite.checkpoints.tensorflow_checkpoint import TensorFlowCheckpoint

if TYPE_CHECKING:
    from keras_bert_suite.text.tokenizer import Tokenizer

CONFIG_FILE = "config.json"
OWN_KEY = "keras_bert_suite"  # what Hugging Face has no key for stands under this one
GOOGLE_CONFIG_FILES = ("bert_config.json", "albert_config.json")
PEFT_CONFIG_FILE, PEFT_FILE = "adapter_config.json", "adapter_model.safetensors"
SAFETENSORS, TORCH, TF_H5 = "model.safetensors", "pytorch_model.bin", "tf_model.h5"
# In the order of preference, as in transformers.
_HUGGINGFACE_FILES = (
    SAFETENSORS,
    f"{SAFETENSORS}.index.json",
    TORCH,
    f"{TORCH}.index.json",
    TF_H5,
)
_VOCABULARIES = ("vocab.txt", "tokenizer.json", "vocab.json", "spiece.model")
_WANTED = f"A model directory holds {CONFIG_FILE} and {SAFETENSORS}"


@dataclasses.dataclass(frozen=True)
class Source:
    """One checkpoint: where it is and what it says of itself.

    Attributes:
      format: "huggingface", "keras_hub", "google_tf1", "model_garden", "peft" or "unknown" (no
        weights).
      directory: where config and tokenizer lie.
      config_file: the file that `values` come from.
      weights: the file of weights, or the prefix of a TensorFlow checkpoint; None when missing.
      values: the config under Hugging Face's keys.
      left_out: heads of the file that are not read, with the reason.
      base_dir: where the base of a tuned part is; None where the tuned part says it.
    """

    format: str
    directory: Path
    config_file: Path
    weights: Path | None
    values: dict[str, Any]
    left_out: tuple[str, ...] = ()
    base_dir: Path | None = None

    @contextlib.contextmanager
    def tensors(self) -> Iterator[TensorSource]:
        """Opens the weights: a tensor source under Hugging Face's names.

        Raises:
          FileNotFoundError: there are none, or only others than those listed above.
          ValueError: the file is damaged.
        """
        if self.weights is None:
            raise _no_weights(self.directory)
        with open_tensors(
            self.format, self.weights, self.values, config_file=self.config_file
        ) as tensors:
            yield tensors

    def with_tokenizer(self) -> Source:
        """Returns this checkpoint; for a tuned part without a vocabulary its base."""
        if self.has_vocabulary or not is_tuned_part(self.values):
            return self
        from keras_bert_suite.checkpoints.base_reference import BaseReference

        return find_source(BaseReference.of(self).path)

    @property
    def has_vocabulary(self) -> bool:
        """Whether a vocabulary lies in the directory itself."""
        return any((self.directory / name).exists() for name in _VOCABULARIES)

    def tokenizer(self) -> Tokenizer:
        """Returns the checkpoint's tokenizer, with its casing.

        Raises:
          ValueError: there is none, or its files are not right.
        """
        if (other := self.with_tokenizer()) is not self:
            return other.tokenizer()
        # Imported here: it brings tensorflow_text, which who reads weights alone need not load.
        from keras_bert_suite.text.tokenizer import Tokenizer
        from keras_bert_suite.text.vocabulary import read_vocabulary
        from keras_bert_suite.text.wordpiece_tokenizer import WordPieceTokenizer

        if self.format == "keras_hub":
            file = self.directory / keras_hub_preset.TOKENIZER_FILE
            try:
                options = keras_hub_preset.tokenizer_options(read_object(file))
            except FileNotFoundError as error:
                raise ValueError(f"{file}: no such file; the preset has no tokenizer") from error
            vocabulary = read_vocabulary(self.directory / keras_hub_preset.VOCABULARY_FILE)
            return WordPieceTokenizer(vocabulary, **options)
        vocab_file = self.directory / "vocab.txt"
        bare = not (self.directory / "tokenizer_config.json").exists()
        if self.format in ("google_tf1", "model_garden") and bare and vocab_file.exists():
            return Tokenizer.from_directory(
                self.directory, lowercase=not _has_upper_case(read_vocabulary(vocab_file))
            )
        return Tokenizer.from_directory(self.directory)


def is_tuned_part(values: Mapping[str, Any]) -> bool:
    """Returns whether config.json is that of a tuned part, whose other weights are its base's."""
    own = values.get(OWN_KEY)
    return isinstance(own, Mapping) and "base" in own


def find_source(path: str | os.PathLike, *, base_dir: str | os.PathLike | None = None) -> Source:
    """Returns the checkpoint at a path: a directory, a file of weights, or a TF prefix.

    Args:
      path: of the checkpoint.
      base_dir: the base of a tuned part, where it is not at the place that the tuned part names.

    Raises:
      FileNotFoundError: nothing there, or no config with it.
      ValueError: a link that leads nowhere, a file that is no checkpoint, a config that is no JSON,
        several checkpoints to choose from, or a base for what needs none.
    """
    base = None if base_dir is None else Path(base_dir)
    found = dataclasses.replace(_at(Path(path), base), base_dir=base)
    if base is not None and not is_tuned_part(found.values):
        raise ValueError(
            f"A base (--base_dir) belongs to the tuned part of a model, and {path} holds a whole "
            f"model. Received: {base}"
        )
    return found


def _at(path: Path, base_dir: Path | None) -> Source:
    _check_links(path)
    if path.is_dir():
        return _in_directory(path, base_dir)
    if path.name.endswith(".index") and path.is_file():
        return _tensorflow(path.parent, path.with_suffix(""))
    if Path(f"{path}.index").is_file():
        return _tensorflow(path.parent, path)
    if path.is_file():
        if not path.name.endswith((".safetensors", ".bin", ".h5", ".index.json")):
            raise ValueError(f"{path}: must be a model directory. Found: a file")
        return dataclasses.replace(_in_directory(path.parent), weights=path)
    raise FileNotFoundError(f"{path}: no such directory. {_WANTED}")


def _in_directory(directory: Path, base_dir: Path | None = None) -> Source:
    for name in (CONFIG_FILE, *GOOGLE_CONFIG_FILES, *_HUGGINGFACE_FILES):
        _check_links(directory / name)
    config = directory / CONFIG_FILE
    if not config.is_file():
        if (directory / PEFT_CONFIG_FILE).is_file():
            # Imported here: it reads the base through this module.
            from keras_bert_suite.checkpoints import peft_config

            return peft_config.source(directory, base_dir=base_dir)
        of_google = any((directory / name).is_file() for name in GOOGLE_CONFIG_FILES)
        if of_google or list(directory.glob("*.index")):
            return _tensorflow(directory, _only_prefix(directory))
        remedy = "Its training has not ended" if (directory / "log.jsonl").exists() else _WANTED
        raise FileNotFoundError(f"{directory}: no {CONFIG_FILE} in it. {remedy}")
    values = read_object(config)
    if keras_hub_preset.is_preset(values):
        return _keras_hub(directory, config, values)
    for name in _HUGGINGFACE_FILES:
        if (directory / name).exists():
            return Source("huggingface", directory, config, directory / name, values)
    if list(directory.glob("*.index")):
        return _tensorflow(directory, _only_prefix(directory))
    return Source("unknown", directory, config, None, values)


def _keras_hub(directory: Path, config: Path, values: dict[str, Any]) -> Source:
    try:
        converted = keras_hub_preset.to_huggingface_config(values)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{config}: {error}") from error
    left_out = keras_hub_preset.left_out(converted["model_type"])
    if (directory / keras_hub_preset.TASK_FILE).is_file():
        labels_file = directory / keras_hub_preset.LABELS_FILE
        labels = read_object(labels_file) if labels_file.is_file() else None
        task = read_object(directory / keras_hub_preset.TASK_FILE)
        more, lost = keras_hub_preset.task_config(task, labels)
        converted.update(more)
        left_out += (lost,) if lost else ()
    weights = directory / keras_hub_preset.WEIGHTS_FILE
    found = weights if weights.exists() else None
    return Source("keras_hub", directory, config, found, converted, left_out)


def _tensorflow(directory: Path, prefix: Path) -> Source:
    candidates = [directory / name for name in (*GOOGLE_CONFIG_FILES, CONFIG_FILE)]
    config = next((path for path in candidates if path.is_file()), None)
    with TensorFlowCheckpoint(prefix) as checkpoint:
        names = checkpoint.names
        inferred = google_names.electra_config({name: checkpoint.shape(name) for name in names})
    if config is not None:
        values = read_object(config)
        values = values if config.name == CONFIG_FILE else _converted(config, values)
    elif inferred is not None:
        config, values = prefix.with_name(f"{prefix.name}.index"), inferred
    else:
        raise FileNotFoundError(
            f"{directory}: no {' or '.join(GOOGLE_CONFIG_FILES)} in it. Copy it beside "
            f"{prefix.name}.index"
        )
    if google_names.is_tf2(names):
        heads = google_names.tf2_heads(names)
        left_out = (f"heads of the Model Garden: {listed(heads)}",) if heads else ()
        values.setdefault("architectures", ["BertModel"])
        return Source("model_garden", directory, config, prefix, values, left_out)
    if architectures := google_names.tf1_architectures(
        names, str(values.get("model_type", "bert"))
    ):
        values.setdefault("architectures", architectures)
    return Source("google_tf1", directory, config, prefix, values)


def _converted(config: Path, values: dict[str, Any]) -> dict[str, Any]:
    try:
        return google_names.to_huggingface_config(values)
    except ValueError as error:
        raise ValueError(f"{config}: {error}") from error


def _only_prefix(directory: Path) -> Path:
    found = sorted(path for path in directory.glob("*.index") if path.is_file())
    if len(found) != 1:
        problem = "no checkpoint" if not found else f"{len(found)} checkpoints"
        raise FileNotFoundError(
            f"{directory}: {problem} in it ({listed([path.name for path in found])}). Give the "
            "path of one, as DIRECTORY/bert_model.ckpt"
        )
    return found[0].with_suffix("")


def _no_weights(directory: Path) -> FileNotFoundError:
    suffixes = (".bin", ".h5", ".safetensors")
    others = sorted(path.name for path in directory.iterdir() if path.suffix in suffixes)
    found = f" Found instead: {listed(others)}." if others else ""
    return FileNotFoundError(
        f"{directory}: no {SAFETENSORS} in it, nor any other file of weights that is read here "
        f"({listed(_HUGGINGFACE_FILES[1:])}, {keras_hub_preset.WEIGHTS_FILE}, a checkpoint of "
        f"TensorFlow).{found} Save the model again with transformers' save_pretrained"
    )


def _has_upper_case(vocabulary: list[str]) -> bool:
    """A vocabulary made of lower-cased text has capitals in its special tokens alone."""
    special = [token.startswith("[") and token.endswith("]") for token in vocabulary]
    words = zip(vocabulary, special, strict=True)
    return any(token != token.lower() for token, is_special in words if not is_special)


def _check_links(path: Path) -> None:
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"{path}: a symbolic link that leads back to itself") from error
        if error.errno == errno.ENOENT and path.is_symlink():
            raise ValueError(f"{path}: a symbolic link that leads nowhere") from error


def read_object(file: Path) -> dict[str, Any]:
    """Returns a JSON file's object.

    Raises:
      ValueError: the file is not a JSON object.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{file}: must be JSON in UTF-8. {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{file}: must be a JSON object. Received: {values!r:.80}")
    return values
