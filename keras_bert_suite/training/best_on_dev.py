"""Keeps the weights that score best on the dev file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.checkpoints.model_directory import read_config, save_model
from keras_bert_suite.training.prediction import Predictor


class BestOnDev:
    """Scores the model when it is called and saves it if no earlier step scored as high.

    The score stands in the saved directory's config.json, which appears together with the weights,
    so that a resumed run knows what it had. A run that goes on from before its last evaluation
    repeats it and comes to the same weights and score.

    Args:
      predictor: of the model in training.
      examples: of the dev file.
      directory: where the best model is kept.
      settings: of the run, JSON values; what another run left in `directory` does not count.
    """

    def __init__(
        self,
        predictor: Predictor,
        examples: Sequence[Any],
        *,
        directory: Path,
        settings: Mapping[str, Any],
    ):
        self.predictor, self.examples = predictor, examples
        self.directory, self.settings = directory, dict(settings)
        self.features = predictor.features(examples)
        self.evaluated_step: int | None = None  # the newest in this process
        self.step: int | None = None  # of the best
        self._score = float("-inf")
        self._restore()

    def __call__(self, step: int) -> dict[str, float]:
        """Scores the model after `step` steps; gives the numbers to record."""
        predictions = self.predictor.predict(self.examples, features=self.features)
        task, predictions = self.predictor.task.calibrated(predictions, self.examples)
        metrics = task.score(predictions, self.examples)
        score = metrics[self.predictor.task.best_by]
        self.evaluated_step = step
        if score > self._score:
            best = {"step": step, "score": score, "settings": self.settings}
            save_model(self.predictor.model, self.directory, extra={"best_on_dev": best})
            self.step, self._score = step, score
        # The majority's accuracy is the dev file's, not the model's: no curve to draw.
        return {
            name: value
            for name, value in metrics.items()
            if isinstance(value, float) and not name.startswith("majority")
        }

    def exhausted(self, step: int, *, patience: int) -> bool:
        """Whether the score has not risen in the `patience` steps before `step`.

        A state that was not scored yet is scored first, so that a resumed run ends where an
        uninterrupted one does.
        """
        if self.step is None or step - self.step < patience:
            return False
        if self.evaluated_step != step:
            self(step)
        return step - self.step >= patience

    def _restore(self) -> None:
        if not (self.directory / "config.json").exists():
            return
        best = read_config(self.directory)["keras_bert_suite"]["best_on_dev"]
        if best["settings"] == self.settings:
            self.step, self._score = best["step"], best["score"]
