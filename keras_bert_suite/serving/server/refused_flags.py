"""Flags of tensorflow_model_server that this server cannot honour, each with its reason.

A value that asks for what this server does anyway is taken; any other is refused by name. Source of
the list: tensorflow/serving, model_servers/main.cc.
"""

from __future__ import annotations

import dataclasses

from absl import flags

_TFLITE = "TensorFlow Lite models are not served; serve the SavedModel."
_XLA = "TensorFlow computes the parts of a graph that ask for XLA by it, and is not told not to."


@dataclasses.dataclass(frozen=True)
class Refused:
    """A flag that is not supported.

    Attributes:
      reason: why, and what to do instead.
      taken: the value that is fulfilled; None where every value is refused.
    """

    reason: str
    taken: bool | int | None = None


REFUSED = {
    "num_unload_threads": Refused(
        "a version is unloaded by the thread that answers its last request.", 0
    ),
    "flush_filesystem_caches": Refused(
        "the files' pages stay cached while memory is free, and the system drops them by itself.",
        False,
    ),
    "use_alts_credentials": Refused(
        "ALTS works between machines of Google alone; --ssl_config_file has TLS.", False
    ),
    "platform_config_file": Refused("the platform tensorflow is the only one that is served."),
    "remove_unused_fields_from_bundle_metagraph": Refused(
        "of a graph that is loaded the signatures alone are kept.", True
    ),
    "prefer_tflite_model": Refused(_TFLITE, False),
    "num_tflite_pools": Refused(_TFLITE),
    "num_tflite_interpreters_per_pool": Refused(_TFLITE),
    "xla_cpu_compilation_enabled": Refused(_XLA, True),
    "xla_gpu_compilation_enabled": Refused(_XLA, True),
    "enable_profiler": Refused(
        "there is no profiler service; --monitoring_config_file has latencies.", False
    ),
    "thread_pool_factory_config_file": Refused(
        "a factory is C++ code inside tensorflow_model_server; --tensorflow_session_parallelism "
        "and the two beside it set TensorFlow's threads."
    ),
    "mixed_precision": Refused(
        "the number type is that of the exported graph; bin/export_model.py --precision sets it."
    ),
    "skip_initialize_tpu": Refused("there is no TPU to initialize.", True),
    "enable_grpc_healthcheck_service": Refused("health checking is always on.", True),
}


class _Parser(flags.ArgumentParser):
    def __init__(self, refused: Refused):
        self._refused = refused
        self.syntactic_help = "not supported"

    def parse(self, argument: str) -> bool | int:
        taken = self._refused.taken
        if taken is None:
            raise ValueError(f"not supported: {self._refused.reason}")
        kind = flags.BooleanParser() if isinstance(taken, bool) else flags.IntegerParser()
        if kind.parse(argument) != taken:
            raise ValueError(f"only {str(taken).lower()} is supported: {self._refused.reason}")
        return taken


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines them all, so that they are refused by name instead of as unknown.

    Being this module's they are in a program's --helpfull, not in its --help.
    """
    for name, refused in REFUSED.items():
        value = "any" if refused.taken is None else f"any but {str(refused.taken).lower()}"
        text = f"Not supported ({value}): {refused.reason}"
        flag = flags.Flag(
            _Parser(refused),
            flags.ArgumentSerializer(),
            name,
            None,
            text,
            boolean=isinstance(refused.taken, bool),
        )
        flags.DEFINE_flag(flag, flag_values)
