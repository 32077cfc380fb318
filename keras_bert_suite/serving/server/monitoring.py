"""Prometheus metrics under TF Serving's names, so that its dashboards go on working.

Names and buckets are those of tensorflow/serving, servables/tensorflow/util.cc: latencies in
microseconds. `request_count` has the type "untyped", since the exporter would rename a counter.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import prometheus_client
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from keras_bert_suite.serving.server.config_messages import read_text_file
from keras_bert_suite.serving.server.errors import as_serving_error

DEFAULT_PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
_PREFIX = ":tensorflow:serving:"
_MICROSECONDS = tuple(10 * 1.8**power for power in range(33))
_ROWS = tuple(float(2**power) for power in range(15))
# Clients may send any name; each label value costs memory for good.
_UNKNOWN = "(unknown)"

prometheus_client.disable_created_metrics()


def read_metrics_path(path: str) -> str | None:
    """The URL path of the metrics that a MonitoringConfig file asks for; None when it does not.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no MonitoringConfig, or the path does not begin with a slash.
    """
    config = read_text_file(path, "MonitoringConfig").prometheus_config
    if not config.enable:
        return None
    url = config.path or DEFAULT_PATH
    if not url.startswith("/"):
        raise ValueError(f'{path}: the path must begin with "/". Received: {url!r}')
    return url


class Metrics:
    """What a server counts.

    Args:
      known_models: gives the names of the models that are served now.
    """

    def __init__(self, *, known_models: Callable[[], Iterable[str]]):
        self._known_models = known_models
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = _RequestCount()
        self._registry.register(self._requests)
        self._latency = prometheus_client.Histogram(
            f"{_PREFIX}request_latency",
            "Microseconds from a request's arrival at a thread to its answer.",
            ["model_name", "API", "entrypoint"],
            buckets=_MICROSECONDS,
            registry=self._registry,
        )
        self._rows = prometheus_client.Histogram(
            f"{_PREFIX}batch_rows",
            "Rows of a batch that was computed.",
            ["model_name"],
            buckets=_ROWS,
            registry=self._registry,
        )
        self._runtime = prometheus_client.Histogram(
            f"{_PREFIX}runtime_latency",
            "Microseconds of a run of the graph.",
            ["model_name"],
            buckets=_MICROSECONDS,
            registry=self._registry,
        )

    @contextlib.contextmanager
    def request(self, *, model_name: str, api: str, entrypoint: str) -> Iterator[None]:
        """Counts the request that is answered inside the block, and its status.

        Args:
          model_name: as the client sent it.
          api: "Predict", "Classify", ...
          entrypoint: "GRPC" or "REST".
        """
        name = model_name if model_name in self._known_models() else _UNKNOWN
        start, status = time.perf_counter(), "OK"
        try:
            yield
        except Exception as error:
            status = as_serving_error(error).code.name
            raise
        finally:
            micros = (time.perf_counter() - start) * 1e6
            self._latency.labels(name, api, entrypoint).observe(micros)
            self._requests.add(name, status)

    def ran(self, *, model_name: str, rows: int, seconds: float) -> None:
        """Counts a run of a model's graph."""
        self._rows.labels(model_name).observe(rows)
        self._runtime.labels(model_name).observe(seconds * 1e6)

    def page(self) -> bytes:
        """Everything in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)


class _RequestCount(Collector):
    """`:tensorflow:serving:request_count`, spelt as TF Serving spells it."""

    def __init__(self):
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._lock = threading.Lock()

    def add(self, model_name: str, status: str) -> None:
        with self._lock:
            self._counts[model_name, status] += 1

    def collect(self) -> Iterator[Metric]:
        metric = Metric(f"{_PREFIX}request_count", "The total number of requests.", "unknown")
        with self._lock:
            counts = dict(self._counts)
        for (model_name, status), count in counts.items():
            labels = {"model_name": model_name, "status": status}
            metric.add_sample(metric.name, labels, count)
        yield metric
