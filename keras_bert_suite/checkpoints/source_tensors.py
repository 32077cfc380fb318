"""Opens the weights of any format as one source of tensors under Hugging Face's names."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_bert_suite.checkpoints import google_names, keras_hub_preset, transformers_h5
from keras_bert_suite.checkpoints.foreign_names import ForeignNames, Joined, expand
from keras_bert_suite.checkpoints.h5_file import H5File
from keras_bert_suite.checkpoints.rename import TensorSource
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile
from keras_bert_suite.checkpoints.sharded_files import ShardedFiles
from keras_bert_suite.checkpoints.tensorflow_checkpoint import TensorFlowCheckpoint
from keras_bert_suite.checkpoints.torch_file import TorchFile
from keras_bert_suite.families import HUGGINGFACE_KEYS, family_of

_MAX_LAYERS = 1000  # more is no config of a BERT; each layer costs a few rules


@contextlib.contextmanager
def open_tensors(
    file_format: str, path: Path, values: Mapping[str, Any], *, config_file: Path
) -> Iterator[TensorSource]:
    """Opens the weights of one checkpoint.

    Args:
      file_format: `Source.format`.
      path: the file, the index of several, or the prefix of a TensorFlow checkpoint.
      values: the config under Hugging Face's keys; its number of layers goes into the tables.
      config_file: where they come from, for messages.

    Raises:
      FileNotFoundError, ValueError: see the file formats.
    """
    with contextlib.ExitStack() as stack:
        if file_format == "huggingface":
            yield _open_huggingface(path, stack)
            return
        num_layers = _num_layers(values, config_file)
        if file_format == "keras_hub":
            yield _open_keras_hub(path, values, num_layers, stack)
        else:
            checkpoint = stack.enter_context(TensorFlowCheckpoint(path))
            yield _open_tensorflow(file_format, checkpoint, family_of(values), num_layers)


def _open_huggingface(path: Path, stack: contextlib.ExitStack) -> TensorSource:
    def open_one(file: Path):
        return TorchFile(file) if file.suffix == ".bin" else SafetensorsFile(file)

    if path.name.endswith(".index.json"):
        return stack.enter_context(ShardedFiles(path, open_one))
    if path.suffix == ".h5":
        file = stack.enter_context(H5File(path))
        return ForeignNames(file, [transformers_h5.rule_for(name) for name in file.names])
    return stack.enter_context(open_one(path))


def _open_tensorflow(
    file_format: str, checkpoint: TensorFlowCheckpoint, family: str, num_layers: int
) -> TensorSource:
    if file_format == "model_garden":
        return ForeignNames(
            checkpoint,
            expand(google_names.tf2_rules(num_layers), num_layers=num_layers),
            ignored=google_names.is_tf2_state,
            unknown=google_names.tf2_unknown,
        )
    if family not in google_names.TF1_RULES:
        raise ValueError(
            f"{checkpoint.path}: a checkpoint of TensorFlow 1 must be of "
            f"{', '.join(google_names.TF1_RULES)}. Its config says model_type={family!r}"
        )
    return ForeignNames(
        checkpoint,
        expand(google_names.TF1_RULES[family], num_layers=num_layers),
        ignored=google_names.is_tf1_state,
        unknown=functools.partial(google_names.tf1_unknown, family=family),
    )


def _open_keras_hub(
    path: Path, values: Mapping[str, Any], num_layers: int, stack: contextlib.ExitStack
) -> TensorSource:
    file, family = stack.enter_context(H5File(path)), values["model_type"]
    names = file.names
    backbone = ForeignNames(
        file,
        keras_hub_preset.rules_for(names, family, num_layers=num_layers),
        ignored=lambda name: keras_hub_preset.is_left_out(name, family, names),
        unknown=functools.partial(keras_hub_preset.unknown, family=family),
    )
    if values["architectures"] != ["BertForSequenceClassification"]:
        return backbone
    head = stack.enter_context(H5File(path.with_name(keras_hub_preset.TASK_WEIGHTS_FILE)))
    classifier = ForeignNames(
        head, keras_hub_preset.CLASSIFIER_RULES, ignored=keras_hub_preset.is_optimizer
    )
    return Joined(backbone, classifier)


def _num_layers(values: Mapping[str, Any], config_file: Path) -> int:
    key = HUGGINGFACE_KEYS[family_of(values)]["num_layers"]
    value = values.get(key, 12)
    if type(value) is not int or not 0 < value <= _MAX_LAYERS:
        raise ValueError(
            f"{config_file}: `{key}` must be a number of layers. Received: {value!r:.80}"
        )
    return value
