#!/usr/bin/env python3
"""Serves SavedModels over gRPC and REST in the contract of TensorFlow Serving, without Docker.

Example:
  bin/serve.py --model_name=topics --model_base_path=exported/ --rest_api_port=8501
  bin/query.py --server=127.0.0.1:8500 --model_name=topics --text='How do I reset my password?'

Flags have the names and meanings of tensorflow_model_server as far as it has them; a flag of it
that is not listed here is not supported. New versions that appear under the base path are served
without a restart, the old one until the new one is loaded. Health checking and reflection are
always on. Ctrl-C and SIGTERM let the requests in work end. It listens on 127.0.0.1 unless --host
says otherwise.
"""

from __future__ import annotations

import logging
from pathlib import Path

from absl import flags

from keras_bert_suite import cli

_PORT = flags.DEFINE_integer("port", 8500, "Port of gRPC; 0 for none.")
_REST_API_PORT = flags.DEFINE_integer("rest_api_port", 0, "Port of REST; 0 for none.")
_MODEL_NAME = flags.DEFINE_string("model_name", "default", "Name of the model in requests.")
_BASE_PATH = flags.DEFINE_string("model_base_path", None, "Where the version directories are.")
_CONFIG_FILE = flags.DEFINE_string(
    "model_config_file",
    None,
    "ModelServerConfig in text format: several models, version policies, labels. Takes the place "
    "of --model_name and --model_base_path.",
)
_CONFIG_POLL = flags.DEFINE_float(
    "model_config_file_poll_wait_seconds", 0.0, "Seconds between looks at that file; 0 looks once."
)
_POLL = flags.DEFINE_float(
    "file_system_poll_wait_seconds", 1.0, "Seconds between looks for new versions; 0 looks once."
)
# What follows tensorflow_model_server does not have.
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Interface to listen on; 0.0.0.0 for all.")
_NUM_THREADS = flags.DEFINE_integer(
    "num_threads", 8, "Requests in work at once, for each of gRPC and REST."
)
_MAX_QUEUED = flags.DEFINE_integer(
    "max_queued_requests", 100, "Requests that may wait; more get RESOURCE_EXHAUSTED."
)
_MAX_MESSAGE_BYTES = flags.DEFINE_integer("max_message_bytes", 16 << 20, "Largest request.")
_MAX_BATCH_ROWS = flags.DEFINE_integer("max_batch_rows", 256, "Most rows of a request.")
_GRACE = flags.DEFINE_float(
    "grace_seconds", 30.0, "How long the requests in work may go on after SIGTERM."
)


def main(argv: list[str]) -> None:
    del argv
    config_file = Path(_CONFIG_FILE.value) if _CONFIG_FILE.value else None
    if config_file is None and not _BASE_PATH.value:
        raise ValueError("Say what to serve: --model_base_path or --model_config_file.")

    from keras_bert_suite.serving.server.options import ServerOptions

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    options = ServerOptions(
        host=_HOST.value,
        port=_PORT.value,
        rest_api_port=_REST_API_PORT.value,
        poll_seconds=_POLL.value,
        config_file=config_file,
        config_poll_seconds=_CONFIG_POLL.value,
        num_threads=_NUM_THREADS.value,
        max_queued=_MAX_QUEUED.value,
        max_message_bytes=_MAX_MESSAGE_BYTES.value,
        max_batch_rows=_MAX_BATCH_ROWS.value,
        grace_seconds=_GRACE.value,
    )
    # TensorFlow comes in after what can be refused without it.
    from keras_bert_suite.serving.server import config, server

    if config_file is not None:
        models = config.read_config_file(config_file)
    else:
        models = config.one_model(_MODEL_NAME.value, _BASE_PATH.value)
    server.serve(models, options=options)


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
