#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Serves SavedModels over gRPC and REST in the contract of TensorFlow Serving, without Docker.

Example:
  bin/serve.py --model_name=topics --model_base_path=exported/ --rest_api_port=8501
  bin/query.py --server=127.0.0.1:8500 --model_name=topics --text='How do I reset my password?'

Flags have the names and meanings of tensorflow_model_server as far as it has them; a flag of it
that is not listed here is refused, with the reason (--helpfull has them). New versions that
appear under the base path are served without a restart, the old one until the new one is loaded.
Health checking and reflection are always on. Ctrl-C and SIGTERM let the requests in work end. It
listens on 127.0.0.1 unless --host says otherwise.
"""

from __future__ import annotations

import logging
from importlib import metadata

from absl import flags

from keras_bert_suite import __version__, cli, settings
from keras_bert_suite.serving.server import refused_flags
from keras_bert_suite.serving.server.options import ServerOptions

settings.define_flags(ServerOptions, config=False)
refused_flags.define()
_VERSION = flags.DEFINE_bool("version", False, "Print the version of the server and TensorFlow's.")


def main(argv: list[str]) -> None:
    del argv
    if _VERSION.value:
        print(f"keras_bert_suite: {__version__}\nTensorFlow: {metadata.version('tensorflow')}")
        return
    options = settings.from_flags(ServerOptions, config=False)
    # absl has put a handler of its own there, which lets no line below a warning through.
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("tensorflow").setLevel(logging.ERROR)

    # TensorFlow comes in after what can be refused without it.
    from keras_bert_suite.serving.server.imports import import_tensorflow

    import_tensorflow()
    from keras_bert_suite.serving.server import server

    server.serve(options)


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
