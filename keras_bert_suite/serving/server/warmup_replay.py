"""Replays the recorded requests of a SavedModel before it serves, as TF Serving does."""

from __future__ import annotations

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_bert_suite.serving.server import inference
from keras_bert_suite.serving.server.errors import invalid_argument
from keras_bert_suite.serving.server.servable import Servable
from keras_bert_suite.serving.warmup import FILE, MAX_RECORDS

_CALLS = {
    "predict_log": inference.predict,
    "classify_log": inference.classify,
    "regress_log": inference.regress,
    "multi_inference_log": inference.multi_inference,
}


def replay(servable: Servable, *, iterations: int = 1) -> int:
    """Runs the servable's warm-up records and returns how many there were; 0 without a file.

    Args:
      servable: just loaded.
      iterations: how often each record is run.

    Raises:
      ServingError: too many records, a record of another kind, or a request that fails.
      tf.errors.OpError: the file is damaged or the graph refuses a request.
    """
    path = servable.path / FILE
    if not path.exists():
        return 0
    count = 0
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        if count == MAX_RECORDS:
            raise invalid_argument(
                f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}"
            )
        log = prediction_log_pb2.PredictionLog.FromString(record)
        kind = log.WhichOneof("log_type")
        if kind not in _CALLS:
            raise invalid_argument(f"Unsupported log_type for warmup: {kind} in {path}")
        for _ in range(iterations):
            _CALLS[kind](servable, getattr(log, kind).request)
        count += 1
    return count
