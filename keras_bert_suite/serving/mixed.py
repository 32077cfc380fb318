"""The signature `mixed`: each row names the task that answers it, and all go through one encoder.

Inputs are `task`, string [batch], and the text inputs of all tasks: a row fills in those of its
own. Outputs are those of all tasks: a row has the answers that its own task's signature gives, and
0, "" or false in the outputs of others, and behind the end of its own where a task has more labels.
A server that batches requests puts those for different tasks into one batch.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.checkpoints import adapters
from keras_bert_suite.serving.export_sources import ExportSource
from keras_bert_suite.serving.row_parts import in_parts
from keras_bert_suite.serving.signatures import (
    TOKEN_INPUTS,
    Signature,
    Signatures,
    plain,
    require,
    rows_alike,
    text_specs,
)

MEANING = (
    "each row is answered by the task that it names, as by the signature of that name; the inputs "
    "of other tasks are not read, their outputs are 0, empty or false"
)
_TASK = "task"
_SAMPLE_ROWS = 32  # of the first request, which warms servers up: no batch should be too small

Tensors = Mapping[str, tf.Tensor]


def mixed_if_possible(
    sources: Mapping[str, ExportSource], *, wanted: bool | None
) -> tuple[Mixed | None, str | None]:
    """Returns what computes the signature; or None, and the reason where it was not told.

    Args:
      sources: by name; "" for that of a single model directory.
      wanted: False leaves the signature out, None takes it where it can be.

    Raises:
      ValueError: it is wanted and cannot be.
    """
    if wanted is False or (wanted is None and "" in sources):
        return None, None
    try:
        return Mixed(sources), None
    except ValueError as error:
        if wanted:
            raise ValueError(f"--mixed: {error}") from error
        return None, str(error)


class Mixed:
    """Computes the signature, in a graph or eagerly.

    Args:
      sources: tuned parts of one base by name, which share its variables.

    Attributes:
      core: the tf.function of the models, from token ids to logits.
      signature: inputs, and what gives the outputs.

    Raises:
      ValueError: the models differ in more than can be told apart row by row, or two tasks have
        outputs of one name that cannot stand in one tensor.
    """

    def __init__(self, sources: Mapping[str, ExportSource]):
        if "" in sources:
            raise ValueError("a model directory by itself has one task. Give --model_dirs.")
        self._sources = dict(sources)
        self._tasks = {name: s.task.for_tokenizer(s.tokenizer) for name, s in sources.items()}
        self._inputs = {
            name: task.signature()["serving_default"]["inputs"]
            for name, task in self._tasks.items()
        }
        self._model = adapters.mixed({name: source.model for name, source in sources.items()})
        specs = self._core_specs()
        self._core_inputs = [spec.name for spec in specs]
        self.core = tf.function(self._logits, input_signature=specs, autograph=False)
        texts = dict.fromkeys(key for inputs in self._inputs.values() for key in inputs)
        self.signature = Signature(specs=text_specs([_TASK, *texts]), compute=self._answer)
        self._one_by_one(self.sample_inputs(["a"]))  # whether the outputs fit together

    def sample_inputs(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """A request in which every task gets every text; of one text to some tasks alone."""
        pairs = [(text.encode(), name) for text in texts for name in self._tasks]
        pairs = pairs if len(texts) > 1 else pairs[:_SAMPLE_ROWS]
        columns = {
            spec.name: [text if spec.name in self._inputs[name] else b"" for text, name in pairs]
            for spec in self.signature.specs
        }
        columns[_TASK] = [name.encode() for _, name in pairs]
        return {name: np.array(column, object) for name, column in columns.items()}

    def expected(self, inputs: Tensors) -> dict[str, tf.Tensor]:
        """The answers to a request without unknown tasks, for the check of the artifact.

        They are those of the tasks' own signatures. In 16 bits, where another order of the same
        additions may give another label, those of the model that was exported.
        """
        policies = {source.model.encoder.compute_dtype for source in self._sources.values()}
        return self._one_by_one(inputs) if policies == {"float32"} else self._answer(inputs)

    def _answer(self, inputs: Tensors) -> dict[str, tf.Tensor]:
        rows, texts = self._parted(inputs)
        batches = {
            name: task.serving_features(
                texts[name], self._sources[name].tokenizer, self._sources[name].max_length
            )
            for name, task in self._tasks.items()
        }
        logits = self._run(batches)
        answers = {}
        for name, task in self._tasks.items():
            decoded = task.decode(logits[name], batches[name])
            answers[name] = plain(task.served(decoded, batches[name], texts[name]))
        return _joined(answers, rows)

    def _one_by_one(self, inputs: Tensors) -> dict[str, tf.Tensor]:
        rows, texts = self._parted(inputs)
        answers = {}
        for name, source in self._sources.items():
            own = Signatures(
                source.model,
                tokenizer=source.tokenizer,
                task=source.task,
                max_length=source.max_length,
            )
            answers[name] = own.build()["serving_default"].compute(texts[name])
        return _joined(answers, rows)

    def _parted(
        self, inputs: Tensors
    ) -> tuple[dict[str, tf.Tensor], dict[str, dict[str, tf.Tensor]]]:
        """By task: the numbers of its rows, and its own inputs in these rows."""
        inputs = rows_alike(inputs)
        is_task = inputs[_TASK][:, None] == tf.constant([*self._tasks])
        unknown = tf.boolean_mask(inputs[_TASK], ~tf.reduce_any(is_task, 1))
        known = f"task must be one of {', '.join(self._tasks)}. Received:"
        with tf.control_dependencies([require(tf.equal(tf.size(unknown), 0), known, unknown)]):
            is_task = tf.identity(is_task)
        rows, texts = {}, {}
        for number, name in enumerate(self._tasks):
            rows[name] = tf.where(is_task[:, number])[:, 0]
            texts[name] = {key: tf.gather(inputs[key], rows[name]) for key in self._inputs[name]}
        return rows, texts

    def _core_specs(self) -> tuple[tf.TensorSpec, ...]:
        of_heads = [
            f"{name}/{key}" for name, task in self._tasks.items() for key in task.head_inputs
        ]
        return (
            *(tf.TensorSpec([None, None], tf.int32, key) for key in (*TOKEN_INPUTS, *of_heads)),
            tf.TensorSpec([None], tf.int32, "variant_ids"),
            tf.TensorSpec([len(self._tasks)], tf.int32, "widths"),
        )

    def _logits(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self._model(dict(zip(self._core_inputs, inputs, strict=True)))
        return {f"{name}/{key}": x for name, own in logits.items() for key, x in own.items()}

    def _run(self, batches: Mapping[str, Tensors]) -> dict[str, dict[str, tf.Tensor]]:
        batch, widths = self._together(batches)

        def run(batch):
            return dict(self.core(*({**batch, "widths": widths}[key] for key in self._core_inputs)))

        if any("example_index" in own for own in batches.values()):
            found = in_parts(run, batch)  # a text may have become any number of rows
        else:
            found = run(batch)
        logits: dict[str, dict[str, tf.Tensor]] = {name: {} for name in self._tasks}
        for whole, tensor in found.items():
            name, key = whole.split("/", 1)
            logits[name][key] = tensor
        return logits

    def _together(self, batches: Mapping[str, Tensors]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """The rows of all tasks, one task after the other, and how wide those of each are."""
        shapes = [tf.shape(own["token_ids"]) for own in batches.values()]
        widths = tf.stack([tf.maximum(shape[1], 1) for shape in shapes])
        counts = tf.stack([shape[0] for shape in shapes])
        widest, all_rows, before = tf.reduce_max(widths), tf.reduce_sum(counts), tf.cumsum(counts)
        batch = {
            key: tf.concat(
                [_padded(own[key], tf.expand_dims(widest, 0)) for own in batches.values()], 0
            )
            for key in TOKEN_INPUTS
        }
        batch["variant_ids"] = tf.repeat(tf.range(len(batches)), counts)
        for number, (name, task) in enumerate(self._tasks.items()):
            around = [before[number] - counts[number], all_rows - before[number]]
            for key in task.head_inputs:
                batch[f"{name}/{key}"] = tf.pad(batches[name][key], [around, [0, 0]])
        return batch, widths


def _joined(answers: Mapping[str, Tensors], rows: Tensors) -> dict[str, tf.Tensor]:
    """The answers of all tasks in the order of the request, blank where a task has none.

    Args:
      answers: by task, those of its own rows, [own rows, ...].
      rows: by task, the numbers of these rows.
    """
    places = tf.math.invert_permutation(tf.concat([*rows.values()], 0))
    joined = {}
    for key in dict.fromkeys(key for own in answers.values() for key in own):
        given = {name: own[key] for name, own in answers.items() if key in own}
        _require_alike(key, given)
        first = next(iter(given.values()))
        sizes = functools.reduce(tf.maximum, [tf.shape(value)[1:] for value in given.values()])
        parts = [
            _padded(given[name], sizes)
            if name in given
            else tf.zeros(tf.concat([tf.shape(numbers), sizes], 0), first.dtype)
            for name, numbers in rows.items()
        ]
        static = zip(*(value.shape[1:] for value in given.values()), strict=True)
        shape = [None if None in sizes else max(sizes) for sizes in static]
        joined[key] = tf.ensure_shape(tf.gather(tf.concat(parts, 0), places), [None, *shape])
    return joined


def _require_alike(key: str, given: Tensors) -> None:
    kinds = {
        name: f"{value.dtype.name} of rank {value.shape.rank}" for name, value in given.items()
    }
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{kind} in {name}" for name, kind in kinds.items())
        raise ValueError(
            f"The tasks' outputs of one name must be of one kind. Received for {key}: {listed}."
        )


def _padded(value: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """[rows, *sizes], with 0, "" or false behind the value's own end in each axis."""
    missing = sizes - tf.shape(value)[1:]
    edges = tf.pad(tf.stack([tf.zeros_like(missing), missing], 1), [[1, 0], [0, 0]])
    return tf.pad(value, edges)
