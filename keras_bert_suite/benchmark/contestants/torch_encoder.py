"""transformers' BertModel on PyTorch with its scaled dot-product attention."""

from __future__ import annotations

import time

from keras_bert_suite.benchmark.contestants.batches import read_batch, real_outputs
from keras_bert_suite.benchmark.contestants.torch_models import load, tensors


class Contestant:
    """A unit is a real token; the batch is computed as it is padded.

    Options: model_dir; dtype, "float32" or "bfloat16".
    """

    def __init__(self, options):
        import torch

        self._torch = torch
        self._model = load("AutoModel", options).eval()

    def run(self, work):
        batch = read_batch(work["batch"])
        inputs = tensors(batch)
        times = work.get("times", 1)
        with self._torch.inference_mode():
            started = time.perf_counter()
            for _ in range(times):
                self._model(**inputs)
            seconds = time.perf_counter() - started
        return seconds, times * float(batch["padding_mask"].sum())

    def outputs(self, work):
        batch = read_batch(work["batch"])
        with self._torch.inference_mode():
            states = self._model(**tensors(batch)).last_hidden_state.float().numpy()
        return real_outputs(states, batch["padding_mask"])
