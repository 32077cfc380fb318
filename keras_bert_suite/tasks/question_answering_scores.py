"""Answers to questions as JSON objects, their score and their files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_bert_suite.evaluation import squad
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.squad_files import QuestionExample, read_questions

if TYPE_CHECKING:
    import numpy as np

Predictions = Sequence[Mapping[str, Any]]


def prediction(
    example: QuestionExample, row: Mapping[str, np.ndarray], *, unanswerable: bool
) -> dict[str, Any]:
    """What is known of an example's answers, before the null threshold.

    Args:
      example: the question.
      row: the example's part of `question_answering_windows.joined`.
      unanswerable: whether "no answer" is among the answers that share the probability.
    """
    import numpy as np

    from keras_bert_suite.tasks.graph.question_answering_windows import exists

    found = exists(row["span_scores"])
    known: dict[str, Any] = {"id": example.id} if example.id else {}
    if example.answers is not None:
        known |= {"question": example.question, "gold": list(example.answers)}
    logits = row["span_scores"][found].astype(np.float64)
    all_logits = np.append(logits, [row["null_scores"]] * (unanswerable or not len(logits)))
    shares = np.exp(all_logits - all_logits.max())
    shares /= shares.sum()
    best = [
        {"text": example.context[start:end], "score": _short(share), "start": start, "end": end}
        for start, end, share in zip(
            row["span_starts"][found].tolist(),
            row["span_ends"][found].tolist(),
            shares,
            strict=False,  # the last share may be that of "no answer"
        )
    ]
    null_share = shares[-1] if len(shares) > len(best) else 0.0
    return known | {
        "answer": "",
        "score": _short(null_share),
        "start": 0,
        "end": 0,
        "null_score": _short(null_share),
        "null_odds": _short(row["null_odds"]),
        "n_best": best,
    }


def answered(prediction: Mapping[str, Any], *, null_threshold: float | None) -> dict[str, Any]:
    """The prediction with its answer under a threshold; None has an answer wherever one is."""
    best = prediction["n_best"][0] if prediction["n_best"] else None
    if best and not (null_threshold is not None and prediction["null_odds"] > null_threshold):
        answer = {key: best[key] for key in ("score", "start", "end")} | {"answer": best["text"]}
    else:
        answer = {"answer": "", "score": prediction["null_score"], "start": 0, "end": 0}
    return {**prediction, **answer}


def best_threshold(predictions: Predictions, examples: Sequence[QuestionExample]) -> float:
    """The null threshold that gives these examples their best F1."""
    answers, gold, odds = _by_question(predictions, examples)
    f1 = squad.question_scores(answers, gold)[1]
    return squad.best_null_threshold(
        answers, gold, f1, null_odds=odds, lowest=min(odds.values()) - 1.0
    )[1]


def scores_v2(
    predictions: Predictions, examples: Sequence[QuestionExample], *, threshold: float | None
) -> dict[str, Any]:
    """SQuAD 2.0's numbers with the threshold used, and those of the best one, the oracle's.

    Without a threshold every question is answered that has a possible answer.
    """
    answers, gold, odds = _by_question(predictions, examples)
    numbers = squad.scores_v2(
        answers,
        gold,
        null_odds=odds,
        null_threshold=math.inf if threshold is None else threshold,
        lowest=min(odds.values()) - 1.0,
    )
    used = {} if threshold is None else {"null_threshold": threshold}
    return {"num_examples": len(examples), **numbers, **used}


def scores_v1(predictions: Predictions, examples: Sequence[QuestionExample]) -> dict[str, Any]:
    """SQuAD 1.1's numbers."""
    answers, gold, _ = _by_question(predictions, examples)
    return {"num_examples": len(examples), **squad.scores_v1(answers, gold)}


def score_file(
    predictions_file: str,
    *,
    data_file: str | None,
    null_odds_file: str | None,
    null_threshold: float,
) -> dict[str, Any]:
    """The official numbers of a file {id: answer}, with or without one of {id: null odds}.

    Files without unanswerable questions are scored as SQuAD 1.1 unless odds are given.

    Raises:
      ValueError: a file that is missing or not of this kind.
    """
    if not data_file:
        raise ValueError("--predictions_file needs --data_file, the questions and their answers.")
    examples = read_questions(data_file, bad_rows=BadRows())
    gold = {example.id: example.answers or () for example in examples}
    answers = _read_by_id(predictions_file, str, "answers")
    if null_odds_file is None and all(gold.values()):
        numbers = squad.scores_v1(answers, gold)
    else:
        odds = None if null_odds_file is None else _read_by_id(null_odds_file, float, "numbers")
        numbers = squad.scores_v2(answers, gold, null_odds=odds, null_threshold=null_threshold)
    return {"num_examples": len(examples), **numbers}


def report(metrics: Mapping[str, Any]) -> str:
    """The numbers as a table for people."""
    if "exact_match" in metrics:
        return (
            f"exact match: {metrics['exact_match']:.2f}\nF1: {metrics['f1']:.2f}\n"
            f"questions: {metrics['total']:,}"
        )
    lines = ["              exact      F1  questions"]
    for name, prefix in (("all", ""), ("answerable", "HasAns_"), ("unanswerable", "NoAns_")):
        if f"{prefix}exact" in metrics:
            lines.append(
                f"{name:12}  {metrics[prefix + 'exact']:5.2f}   {metrics[prefix + 'f1']:5.2f}  "
                f"{metrics[prefix + 'total']:9,}"
            )
    if "null_threshold" in metrics:
        lines.append(f"\nnull threshold used: {metrics['null_threshold']:.4f}")
    if "best_f1" in metrics:
        lines.append(
            "the oracle's, best thresholds chosen on these very answers: exact "
            f"{metrics['best_exact']:.2f} at {metrics['best_exact_thresh']:.4f}, F1 "
            f"{metrics['best_f1']:.2f} at {metrics['best_f1_thresh']:.4f}"
        )
    return "\n".join(lines)


def _by_question(
    predictions: Predictions, examples: Sequence[QuestionExample]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]], dict[str, float]]:
    """(answers before the threshold, right texts, null odds), each by question id."""
    answers, gold, odds = {}, {}, {}
    for one, example in zip(predictions, examples, strict=True):
        answers[example.id] = one["n_best"][0]["text"] if one["n_best"] else ""
        gold[example.id] = example.answers or ()
        odds[example.id] = one["null_odds"]
    return answers, gold, odds


def _read_by_id(path: str, kind: type, what: str) -> dict[str, Any]:
    try:
        values = json.loads(Path(path).read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: must be one JSON object, question id -> one of the {what}.")
    allowed = (int, float) if kind is float else kind
    for key, value in values.items():
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise ValueError(
                f"{path}: {key!r} must have one of the {what}, a {kind.__name__}. "
                f"Received: {value!r}."
            )
    return values


def _short(value: Any) -> float:
    import numpy as np

    # The shortest digits that give the float32 back, not the 17 of its float64.
    return float(str(np.float32(value)))
