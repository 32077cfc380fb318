"""Warm-up records: requests that TF Serving replays before a version answers its first client."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# Where TF Serving looks: servables/tensorflow/saved_model_warmup_util.h.
FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000


def write(
    saved_model_dir: str | os.PathLike, requests: list[tuple[str, Mapping[str, np.ndarray]]]
) -> Path:
    """Writes one Predict request a record and returns the file's path.

    Args:
      saved_model_dir: the version directory.
      requests: (signature name, inputs by alias); at most MAX_RECORDS.

    Raises:
      ValueError: too many requests.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    if len(requests) > MAX_RECORDS:
        raise ValueError(f"TF Serving replays at most {MAX_RECORDS}. Received: {len(requests)}")
    path = Path(saved_model_dir) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for alias, array in inputs.items():
                request.inputs[alias].CopyFrom(tf.make_tensor_proto(array))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString(deterministic=True))
    return path
