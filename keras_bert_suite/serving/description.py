"""serving.json: what a served model takes and gives, for people and for tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_bert_suite.serving.signatures import APIS
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.text.tokenizer import Tokenizer

_MEANINGS = {
    "task": "which of the tasks answers the row, by its name",
    "text": "UTF-8 text; what is longer than max_length tokens is cut",
    "text_a": "first text of each pair, UTF-8",
    "text_b": "second text of each pair, UTF-8",
    "question": "UTF-8; what is longer than max_question_tokens is cut",
    "context": "UTF-8 text that holds the answer, of any length",
    "inputs": "serialized tf.train.Example with one bytes feature for each text input",
    "token_ids": "ids of the vocabulary, special tokens included",
    "segment_ids": "0 for the first text, 1 for the second",
    "padding_mask": "1 for a token, 0 for padding",
    "prediction_positions": "which positions of each row to predict",
    "label": "the label with the highest score",
    "label_id": "its place among the labels",
    "scores": "the probability of each label, in the order of the labels",
    "classes": "the labels",
    "outputs": "the number that answers each example",
    "word": "the likeliest words of each [MASK], best first, empty where there are no more",
    "embedding": "one vector a text",
    "token_vectors": "one vector a token, zeros in the padding",
    "char_starts": "of each token, in characters of the text; 0 for special tokens",
    "char_ends": "behind each token, as char_starts",
    "spans": "characters [start, end) of each span to label, such as: 3-7, 12-20",
    "span_starts": "columns of the spans' first tokens, -1 where there are no more",
    "span_ends": "columns of the spans' last tokens",
    "span_label": "labels of the spans, empty where there are no more",
    "span_score": "probability of each label",
    "span_start": "of each span, in characters of the text (from token ids: in tokens)",
    "span_end": "behind each span, as span_start",
    "span_logits": "unnormalised scores of each candidate span's labels",
    "answer": "a piece of the context, empty for: there is none",
    "score": "probability of the answer",
    "start": "of the answer, in characters of the text (from token ids: in tokens)",
    "end": "behind the answer, as start",
    "null_score": "probability that there is no answer",
    "start_logits": "unnormalised scores of an answer's first token",
    "end_logits": "unnormalised scores of an answer's last token",
    "label_logits": "unnormalised scores of the labels",
    "words": "the words of the text, as they stand in it",
    "tags": "the tag of each word",
    "starts": "where each word begins in the text, in Unicode code points",
    "ends": "where each word ends, in Unicode code points",
    "num_words": "how many words the text has; behind them there is nothing",
    "tag_ids": "the place of each token's best tag among the labels",
    "tag_scores": "the probability of that tag",
    "tag_logits": "unnormalised scores of the tags, for each token",
    "is_label": "whether each label's probability reaches the threshold",
    "value": "the predicted number",
    "choice_score": "how well the choice fits; the highest of a question's choices wins",
    "choice_logits": "the same",
    "pooled_output": "dense layer and tanh on the first token",
    "mean_output": "mean of sequence_output over the row's tokens",
    "sequence_output": "one vector a token, zeros in the padding",
    "mlm_logits": "unnormalised scores of the vocabulary",
    "nsp_logits": "unnormalised scores: 0 the second text follows the first, 1 it is random",
}


def describe(
    saved_model_dir: Path, *, task: Task | None, max_length: int, tokenizer: Tokenizer
) -> dict[str, Any]:
    """The JSON object of serving.json, from the SavedModel as it was written.

    Args:
      saved_model_dir: the version directory.
      task: what the model answers, None for a pre-trained model.
      max_length: tokens that a row made from text keeps.
      tokenizer: the model's.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel.FromString(
        (saved_model_dir / "saved_model.pb").read_bytes()
    )
    signatures = {
        name: {
            "method": definition.method_name,
            "api": APIS[definition.method_name],
            "inputs": _ports(definition.inputs),
            "outputs": _ports(definition.outputs),
        }
        for name, definition in sorted(saved_model.meta_graphs[0].signature_def.items())
        if not name.startswith("__saved_model")
    }
    described: dict[str, Any] = {
        "task": task.to_config() if task else None,
        "max_length": max_length,
        "vocab_size": tokenizer.vocab_size,
        "lowercase": tokenizer.lowercase,
        "tensorflow": tf.__version__,
        "signatures": signatures,
    }
    return described


def _ports(ports) -> dict[str, Any]:
    described = {}
    for alias in sorted(ports):
        info = ports[alias]
        shape = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
        shape = None if info.tensor_shape.unknown_rank else shape
        described[alias] = describe_port(alias, tf.dtypes.as_dtype(info.dtype).name, shape)
    return described


def describe_port(alias: str, dtype: str, shape: list[int | None] | None) -> dict[str, Any]:
    """The JSON object of one input or output; None in a shape is any size."""
    meaning = {"meaning": _MEANINGS[alias]} if alias in _MEANINGS else {}
    return {"dtype": dtype, "shape": shape, **meaning}
