"""transformers' BertForSequenceClassification in a plain loop, batches padded to their longest."""

from __future__ import annotations

import contextlib
import random
import time

from keras_bert_suite.benchmark.contestants.text_files import read_texts
from keras_bert_suite.benchmark.contestants.torch_models import load


class Contestant:
    """A unit is a real token.

    Options: model_dir, with a classification head and a tokenizer; autocast, whether to compute in
    bfloat16.
    Work: texts; rows of a step; length, the most tokens of a row.
    """

    def __init__(self, options):
        import torch
        import transformers

        self._torch, self._autocast = torch, options["autocast"]
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(options["model_dir"])
        self._model = load("AutoModelForSequenceClassification", {**options, "dtype": "float32"})
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=5e-5, weight_decay=0.01, fused=True
        )

    def _inputs(self, texts, work):
        return self._tokenizer(
            texts, truncation=True, max_length=work["length"], padding=True, return_tensors="pt"
        )

    def run(self, work):
        torch, rows = self._torch, work["rows"]
        pairs = list(zip(*read_texts(work["texts"]), strict=True))
        random.Random(0).shuffle(pairs)
        self._model.train()
        tokens, losses, started = 0, [], time.perf_counter()
        for start in range(0, len(pairs), rows):
            texts, labels = zip(*pairs[start : start + rows], strict=True)
            inputs = self._inputs(list(texts), work)
            targets = torch.tensor([int(label) for label in labels])
            with torch.autocast("cpu", torch.bfloat16) if self._autocast else _nothing():
                loss = self._model(**inputs, labels=targets).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            self._optimizer.step()
            self._optimizer.zero_grad()
            tokens += int(inputs["attention_mask"].sum())
            losses.append(loss.item())
        seconds = time.perf_counter() - started
        return seconds, float(tokens), {"loss": sum(losses) / len(losses)}

    def outputs(self, work):
        """The logits of the first texts."""
        texts, _ = read_texts(work["texts"])
        self._model.eval()
        with self._torch.inference_mode():
            return self._model(**self._inputs(texts[: work["compared"]], work)).logits.numpy()


def _nothing():
    return contextlib.nullcontext()
