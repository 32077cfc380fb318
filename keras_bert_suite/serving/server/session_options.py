"""How a SavedModel is loaded: its tags, TensorFlow's threads, what is checked of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

from keras_bert_suite.serving.server.options import ServerOptions


def quick_config() -> config_pb2.ConfigProto:
    """TensorFlow's options, of its graph passes those alone that change an encoder on CPUs.

    One round of them finds all that two do; the passes left out change nothing here. MiniLM with
    three signatures, loaded and warmed up: 1.7 s in the place of 3.0, each answer as quick.
    """
    config = config_pb2.ConfigProto()
    passes = config.graph_options.rewrite_options
    passes.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    passes.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    passes.loop_optimization = rewriter_config_pb2.RewriterConfig.OFF
    return config


@dataclasses.dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """What all sessions of a server have in common.

    Attributes:
      tags: of the graph to load, all of them.
      config: TensorFlow's own options of a session.
      check_method_names: whether Classify and Regress want the signature's method name, too.
    """

    tags: tuple[str, ...] = ("serve",)
    config: config_pb2.ConfigProto = dataclasses.field(default_factory=quick_config)
    check_method_names: bool = False

    @property
    def run_options(self) -> config_pb2.RunOptions:
        """Where a run's operations go: to the thread of its request, one after the other.

        An encoder is a chain, and what is parallel in it is so within its operations; handed from
        thread to thread it took 1.09 times as long with 16 clients (with one the same). Whoever
        tells a number of operations at once gets a pool of so many threads.
        """
        own_pool = self.config.inter_op_parallelism_threads > 0
        return config_pb2.RunOptions(inter_op_thread_pool=0 if own_pool else -1)

    @classmethod
    def of(cls, options: ServerOptions) -> SessionOptions:
        """What the flags say.

        Raises:
          OSError: --tensorflow_session_config_file cannot be read.
          ValueError: it is no ConfigProto.
        """
        return cls(
            tags=tuple(options.saved_model_tags.split(",")),
            config=_config(options),
            check_method_names=options.enable_signature_method_name_check,
        )


def _config(options: ServerOptions) -> config_pb2.ConfigProto:
    """The file's options over ours; a flag that is given counts more, as in TF Serving."""
    config, path = quick_config(), options.tensorflow_session_config_file
    if path:
        text = Path(path).read_text(encoding="utf-8")
        try:
            text_format.Parse(text, config)
        except text_format.ParseError as error:
            raise ValueError(
                f"Error parsing text-format tensorflow.ConfigProto: {path}: {error}"
            ) from error
    both = options.tensorflow_session_parallelism
    if intra := options.tensorflow_intra_op_parallelism or both:
        config.intra_op_parallelism_threads = intra
    if inter := options.tensorflow_inter_op_parallelism or both:
        config.inter_op_parallelism_threads = inter
    if options.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = options.per_process_gpu_memory_fraction
    return config
