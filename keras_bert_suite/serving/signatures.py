"""The signatures of an exported model: text or tokens in, answers out, in one graph.

A model with a task has
  serving_default   the task's text inputs -> its decoded answers
  tokens            token_ids, segment_ids, padding_mask -> decoded answers and the heads' logits
  classify          serialized tf.Examples -> classes and scores (TF Serving's Classify), when the
                    task gives each of its labels a score
  regress           serialized tf.Examples -> outputs (TF Serving's Regress), when the task's answer
                    is a number
a pre-trained model without a task
  serving_default   text -> pooled_output, and mean_output: the mean over the row's tokens
  tokens            the same from token ids, with sequence_output and nsp_logits
  masked_lm         token ids and prediction_positions -> mlm_logits of these positions

One tf.function holds the model; every signature calls it. Rows are padded to the longest of their
batch and do not influence each other. Inputs are checked in the graph, because nothing else stands
between a client of TF Serving and an op that would end the process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.serving.row_parts import in_parts
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.text.tokenizer import Tokenizer

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
# Method name -> TF Serving's API.
APIS = {PREDICT_METHOD: "Predict", CLASSIFY_METHOD: "Classify", REGRESS_METHOD: "Regress"}
TOKEN_INPUTS = ("token_ids", "segment_ids", "padding_mask")

Tensors = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signature:
    """One signature to export.

    Attributes:
      specs: the inputs, each named.
      compute: inputs by name -> outputs by name, in the graph; also runs eagerly.
      method: TF Serving's name of the API that the signature is for.
    """

    specs: tuple[tf.TensorSpec, ...]
    compute: Callable[[Tensors], dict[str, tf.Tensor]]
    method: str = PREDICT_METHOD


class Signatures:
    """Makes the signatures of one model.

    Args:
      model: BertModel.
      tokenizer: the model's.
      task: what the model was fine-tuned for; None for a pre-trained model.
      max_length: tokens that a row made from text keeps.
      core: calls the model on what `core_inputs` names; the exporter gives one shared tf.function
        of `run_model`, the default computes eagerly.
    """

    def __init__(
        self,
        model: BertModel,
        *,
        tokenizer: Tokenizer,
        task: Task | None,
        max_length: int,
        core: Callable[..., dict[str, tf.Tensor]] | None = None,
    ):
        self._model, self._tokenizer = model, tokenizer
        self._task = task and task.for_tokenizer(tokenizer)
        self._max_length = max_length
        self._labels = task.classes if task else ()
        self._inputs = core_inputs(task)
        self._core = core or (lambda *inputs: run_model(model, *inputs, task=task))

    def build(self) -> dict[str, Signature]:
        """The signatures by name."""
        return self._of_task() if self._task else self._of_pretrained()

    def _of_task(self) -> dict[str, Signature]:
        found = {}
        for name, description in self._task.signature().items():
            inputs = description["inputs"]
            found[name] = Signature(specs=text_specs(inputs), compute=self._answer_texts)
        found["tokens"] = Signature(specs=token_specs(self._task), compute=self._answer_tokens)
        examples = text_specs(["inputs"])
        if self._labels:
            found["classify"] = Signature(
                specs=examples, compute=self._classify, method=CLASSIFY_METHOD
            )
        if self._task.number:
            found["regress"] = Signature(
                specs=examples, compute=self._regress, method=REGRESS_METHOD
            )
        return found

    def _of_pretrained(self) -> dict[str, Signature]:
        found = {
            "serving_default": Signature(specs=text_specs(["text"]), compute=self._embed_texts),
            "tokens": Signature(specs=token_specs(), compute=self._encode_tokens),
        }
        if "mlm" in self._model.heads:
            positions = tf.TensorSpec([None, None], tf.int32, name="prediction_positions")
            found["masked_lm"] = Signature(
                specs=(*token_specs(), positions), compute=self._predict_masked
            )
        return found

    def _answer_texts(self, texts: Tensors) -> dict[str, tf.Tensor]:
        texts = rows_alike(texts)
        batch = self._task.serving_features(texts, self._tokenizer, self._max_length)
        decoded = self._task.decode(self._run_rows(batch), batch)
        return plain(self._task.served(decoded, batch, texts))

    def _answer_tokens(self, batch: Tensors) -> dict[str, tf.Tensor]:
        batch = {**batch, **self._checked(batch)}
        logits = self._run(batch)
        answers = self._task.served(self._task.decode(logits, batch), batch, {})
        return plain({**logits, **answers})

    def _answer_examples(self, inputs: Tensors) -> dict[str, tf.Tensor]:
        names = self._task.signature()["serving_default"]["inputs"]
        texts = tf.io.parse_example(
            tf.ensure_shape(inputs["inputs"], [None]),
            {name: tf.io.FixedLenFeature([], tf.string) for name in names},
        )
        return self._answer_texts(texts)

    def _classify(self, inputs: Tensors) -> dict[str, tf.Tensor]:
        scores = self._answer_examples(inputs)["scores"]
        classes = tf.broadcast_to(tf.constant(self._labels), tf.shape(scores))
        return {"classes": classes, "scores": scores}

    def _regress(self, inputs: Tensors) -> dict[str, tf.Tensor]:
        return {"outputs": self._answer_examples(inputs)[self._task.number]}

    def _embed_texts(self, texts: Tensors) -> dict[str, tf.Tensor]:
        ids = self._tokenizer.ragged_ids(tf.ensure_shape(texts["text"], [None]))
        batch = self._tokenizer.pack(ids, max_length=self._max_length)
        encoded = self._run(batch)
        return plain(_embeddings(encoded, batch))

    def _encode_tokens(self, batch: Tensors) -> dict[str, tf.Tensor]:
        batch = self._checked(batch)
        encoded = self._run(batch)
        outputs = {**_embeddings(encoded, batch), "sequence_output": encoded["sequence_output"]}
        if "nsp" in self._model.heads:
            outputs.update(self._model.heads["nsp"](encoded, batch))
        return plain(outputs)

    def _predict_masked(self, inputs: Tensors) -> dict[str, tf.Tensor]:
        batch = self._checked(inputs)
        positions = tf.ensure_shape(inputs["prediction_positions"], [None, None])
        length = tf.shape(batch["token_ids"])[1]
        with tf.control_dependencies(
            [
                require(
                    (positions >= 0) & (positions < length),
                    "prediction_positions must be in [0, length of token_ids)",
                )
            ]
        ):
            batch["prediction_positions"] = tf.identity(positions)
        encoded = self._run(batch)
        encoded["token_embedding_table"] = tf.convert_to_tensor(
            self._model.encoder.embeddings.token_embeddings.embeddings.value
        )
        return plain(self._model.heads["mlm"](encoded, batch))

    def _run(self, batch: Tensors) -> dict[str, tf.Tensor]:
        return dict(self._core(*(batch[name] for name in self._inputs)))

    def _run_rows(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """`_run`, a few rows at a time where one text may have become any number of them."""
        if "example_index" not in batch:
            return self._run(batch)
        return in_parts(self._run, {name: batch[name] for name in self._inputs})

    def _checked(self, batch: Tensors) -> dict[str, tf.Tensor]:
        """The token inputs, refused when the embedding tables have no row for them."""
        config = self._model.encoder.config
        token_ids, segment_ids, padding_mask = (
            tf.ensure_shape(batch[name], [None, None]) for name in TOKEN_INPUTS
        )
        shape = tf.shape(token_ids)
        checks = [
            require(
                shape[1] <= config.max_positions,
                f"rows must have at most {config.max_positions} tokens, the model's max_positions",
            ),
            require(shape[1] >= 1, "rows must have at least 1 token"),
            require(
                tf.reduce_all(shape == tf.shape(segment_ids))
                & tf.reduce_all(shape == tf.shape(padding_mask)),
                "token_ids, segment_ids and padding_mask must have the same shape",
            ),
            _require_range(token_ids, "token_ids", config.vocab_size),
            # A model without segment embeddings takes zeros, which it does not read.
            _require_range(segment_ids, "segment_ids", max(config.num_segments, 1)),
            _require_range(padding_mask, "padding_mask", 2),
        ]
        with tf.control_dependencies(checks):
            return {
                "token_ids": tf.identity(token_ids),
                "segment_ids": tf.identity(segment_ids),
                "padding_mask": tf.identity(padding_mask),
            }


def core_inputs(task: Task | None) -> tuple[str, ...]:
    """The batch keys that the model reads: the tokens, and what the task's head reads beside."""
    return (*TOKEN_INPUTS, *(task.head_inputs if task else ()))


def token_specs(task: Task | None = None) -> tuple[tf.TensorSpec, ...]:
    """int32 [batch, length] each."""
    return tuple(tf.TensorSpec([None, None], tf.int32, name=name) for name in core_inputs(task))


def run_model(model: BertModel, *inputs: tf.Tensor, task: Task | None) -> dict[str, tf.Tensor]:
    """What all signatures share: the heads' logits, or sequence_output and pooled_output.

    Args:
      inputs: of `core_inputs`, int32 [batch, length]; length 0, which an empty batch of texts has,
        is padded to 1.
      task: None gives the encoder's outputs.
    """
    batch = dict(zip(core_inputs(task), inputs, strict=True))
    missing = tf.maximum(1 - tf.shape(inputs[0])[1], 0)
    batch |= {name: tf.pad(batch[name], [[0, 0], [0, missing]]) for name in TOKEN_INPUTS}
    return dict((model if task else model.encoder)(batch, training=False))


def core_function(model: BertModel, task: Task | None):
    """Returns the tf.function of `run_model` that an exported graph holds once."""

    def core(*inputs):
        return run_model(model, *inputs, task=task)

    return tf.function(core, input_signature=token_specs(task), autograph=False)


def _embeddings(encoded: Tensors, batch: Tensors) -> dict[str, tf.Tensor]:
    sequence = tf.cast(encoded["sequence_output"], tf.float32)
    tokens = tf.cast(tf.reduce_sum(batch["padding_mask"], -1, keepdims=True), tf.float32)
    # Padding is zeros in sequence_output; a row of padding alone has the mean 0.
    mean = tf.reduce_sum(sequence, 1) / tf.maximum(tokens, 1.0)
    return {"pooled_output": encoded["pooled_output"], "mean_output": mean}


def plain(outputs: Tensors) -> dict[str, tf.Tensor]:
    """Half-precision outputs as float32, which every client can read."""
    return {
        name: tf.cast(value, tf.float32) if value.dtype in (tf.bfloat16, tf.float16) else value
        for name, value in outputs.items()
    }


def text_specs(names: Sequence[str]) -> tuple[tf.TensorSpec, ...]:
    """string [batch] each."""
    return tuple(tf.TensorSpec([None], tf.string, name=name) for name in names)


def rows_alike(texts: Tensors) -> dict[str, tf.Tensor]:
    """String inputs [batch], refused when one has more rows than another or another rank."""
    texts = {name: tf.ensure_shape(text, [None]) for name, text in texts.items()}
    if len(texts) == 1:
        return texts
    sizes = tf.stack([tf.size(text) for text in texts.values()])
    rule = f"{', '.join(texts)} must have the same number of rows. Received:"
    with tf.control_dependencies([require(sizes == sizes[0], rule, sizes)]):
        return {name: tf.identity(text) for name, text in texts.items()}


def require(condition: tf.Tensor, message: str, *received: tf.Tensor) -> tf.Operation:
    """INVALID_ARGUMENT with the message and what was received, unless the condition holds."""
    return tf.debugging.Assert(tf.reduce_all(condition), [message, *received])


def _require_range(ids: tf.Tensor, name: str, end: int) -> tf.Operation:
    return require((ids >= 0) & (ids < end), f"{name} must be in [0, {end})")
