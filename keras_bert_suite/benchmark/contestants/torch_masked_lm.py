"""transformers' BertForMaskedLM in a plain PyTorch training loop on padded rows."""

from __future__ import annotations

import contextlib
import itertools
import time

import numpy as np

from keras_bert_suite.benchmark.contestants.batches import read_batch
from keras_bert_suite.benchmark.contestants.torch_models import load, tensors

_MOST_OUTPUT_ROWS = 4
_NOT_PREDICTED = -100  # transformers' label of positions without a loss


class Contestant:
    """A unit is a real token.

    Options: model_dir, with a masked-LM head; autocast, whether to compute in bfloat16.
    Work: batch; rows of a step; steps.
    """

    def __init__(self, options):
        import torch

        self._torch, self._autocast = torch, options["autocast"]
        self._model = load("AutoModelForMaskedLM", {**options, "dtype": "float32"})
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=1e-4, weight_decay=0.01, fused=True
        )
        self._batches = {}

    def _steps(self, work):
        """The inputs of steps without end, with the real tokens of each."""
        batch, rows = read_batch(work["batch"]), work["rows"]
        labels = np.full(batch["token_ids"].shape, _NOT_PREDICTED, np.int64)
        row, place = np.nonzero(batch["prediction_weights"])
        labels[row, batch["prediction_positions"][row, place]] = batch["prediction_ids"][row, place]
        found = []
        for start in range(0, len(labels) - rows + 1, rows):
            part = {key: values[start : start + rows] for key, values in batch.items()}
            inputs = {**tensors(part), "labels": self._torch.tensor(labels[start : start + rows])}
            found.append((inputs, int(part["padding_mask"].sum())))
        return itertools.cycle(found)

    def run(self, work):
        torch, key = self._torch, (work["batch"], work["rows"])
        if key not in self._batches:
            self._batches[key] = self._steps(work)
        self._model.train()
        tokens, started = 0, time.perf_counter()
        for inputs, real in itertools.islice(self._batches[key], work["steps"]):
            with torch.autocast("cpu", torch.bfloat16) if self._autocast else _nothing():
                loss = self._model(**inputs).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            self._optimizer.step()
            self._optimizer.zero_grad()
            tokens += real
        loss.item()
        return time.perf_counter() - started, float(tokens)

    def outputs(self, work):
        """The logits of the masked words of the first rows."""
        batch = {k: v[:_MOST_OUTPUT_ROWS] for k, v in read_batch(work["batch"]).items()}
        self._model.eval()
        with self._torch.inference_mode():
            logits = self._model(**tensors(batch)).logits.float().numpy()
        row, place = np.nonzero(batch["prediction_weights"])
        return logits[row, batch["prediction_positions"][row, place]]


def _nothing():
    return contextlib.nullcontext()
