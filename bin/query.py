#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Asks a served model and prints one line of JSON for each text.

Examples:
  bin/query.py --server=127.0.0.1:8500 --model_name=topics --text='How do I reset it?' --text='Hi'
  bin/query.py --server=127.0.0.1:8501 --rest --model_name=nli --text_a='It rains.' \\
      --text_b='It is wet.'
  bin/query.py --model_name=squad --question='Who is she?' --question='Where?' --context="$ARTICLE"
  bin/query.py --model_name=topics --input=texts.jsonl > answers.jsonl
  bin/query.py --server=127.0.0.1:8500 --model_name=topics --signature=tokens \\
      --inputs='{"token_ids": [[101, 102]], "segment_ids": [[0, 0]], "padding_mask": [[1, 1]]}'

  bin/query.py --server=models.example.org:8500 --cacert=ca.pem --cert=me.pem --key=me.key \\
      --model_name=topics --text='Hi'

  bin/query.py --server=127.0.0.1:8500 --model_name=all --task=topics --text='How do I reset it?' \\
      --task=names --text='Ask Ada.'

It speaks to bin/serve.py and to TensorFlow Serving alike. While the server cannot be reached it
tries again until --timeout. --rest answers sooner, for it need not import TensorFlow.
"""

from __future__ import annotations

import json

from absl import flags

from keras_bert_suite import cli
from keras_bert_suite.serving.query_inputs import TEXTS, query_parts

_SERVER = flags.DEFINE_string(
    "server", "127.0.0.1:8500", "HOST:PORT of gRPC, or of REST with --rest."
)
_MODEL_NAME = flags.DEFINE_string("model_name", "default", "The model's name at the server.")
_VERSION = flags.DEFINE_integer("version", None, "Version; the newest by default.")
_LABEL = flags.DEFINE_string("version_label", None, "Version label, instead of --version.")
_SIGNATURE = flags.DEFINE_string(
    "signature", None, "The signature's name (default: serving_default; with --task: mixed)."
)
_TASK = flags.DEFINE_multi_string(
    "task", [], "Of a model with the signature mixed: the task of each text, or one for all."
)
for _name, _help in (
    ("text", "A text; may be repeated."),
    ("text_a", "First text of a pair; may be repeated."),
    ("text_b", "Second text of a pair; as often as --text_a."),
    ("question", "A question; may be repeated."),
    ("context", "The text with its answer; once for all questions, or once for each."),
):
    flags.DEFINE_multi_string(_name, [], _help)
_INPUT = flags.DEFINE_string(
    "input", None, "JSON lines instead, each with the inputs of a row by name; - is stdin."
)
_INPUTS = flags.DEFINE_string(
    "inputs", None, "Any inputs as a JSON object, name -> nested list, instead of texts."
)
_REST = flags.DEFINE_bool("rest", False, "Speak REST instead of gRPC.")
_TLS = flags.DEFINE_bool(
    "tls", False, "Speak TLS and trust the public authorities; --cacert and --cert imply it."
)
_CACERT = flags.DEFINE_string("cacert", None, "PEM file of the authorities to trust instead.")
_CERT = flags.DEFINE_string("cert", None, "PEM file of the client's certificate, with --key.")
_KEY = flags.DEFINE_string("key", None, "PEM file of its key, not encrypted.")
_TIMEOUT = flags.DEFINE_float("timeout", 30.0, "Seconds to wait for the answer, retries included.")


def main(argv: list[str]) -> None:
    del argv
    from keras_bert_suite.serving.client import Client, Tls

    texts = {name: flags.FLAGS[name].value for names in TEXTS for name in names}
    parts = query_parts(texts, task=_TASK.value, inputs=_INPUTS.value, file=_INPUT.value)
    tls = None
    if _TLS.value or _CACERT.value or _CERT.value or _KEY.value:
        tls = Tls(cacert=_CACERT.value, cert=_CERT.value, key=_KEY.value)
    client = Client(
        _SERVER.value,
        model_name=_MODEL_NAME.value,
        version=_VERSION.value,
        label=_LABEL.value,
        rest=_REST.value,
        timeout=_TIMEOUT.value,
        tls=tls,
    )
    signature = _SIGNATURE.value or ("mixed" if _TASK.value else "serving_default")
    with client:
        for part in parts:
            for answer in client.answers(part, signature=signature):
                print(json.dumps(answer, ensure_ascii=False))


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
