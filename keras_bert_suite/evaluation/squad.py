"""Exact match and F1 of answers to questions, as SQuAD's own scripts compute them.

Equal to evaluate-v1.1.py (allenai/bi-att-flow 49004549e9a8) and evaluate-v2.0.py
(rajpurkar/SQuAD-explorer eee5fdbf62f8) to the last digit: the sums run in the order of the
questions, as theirs do. Scores are percentages.

Source: Rajpurkar et al. 2016, arXiv:1606.05250, section 6.1; 2018, arXiv:1806.03822, section 4.
"""

from __future__ import annotations

import collections
import re
import string
from collections.abc import Iterable, Mapping, Sequence

Answers = Mapping[str, Sequence[str]]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


def normalized(text: str) -> str:
    """The text in lower case, without ASCII punctuation and articles, its white space single."""
    kept = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", kept).split())


def exact_match(answer: str, gold: str) -> int:
    """1 if the two are equal once normalised, else 0."""
    return int(normalized(answer) == normalized(gold))


def word_f1(answer: str, gold: str) -> float:
    """The F1 of the words that the two share; 0 where either has no words, unless both have none.

    That exception is 2.0's. Under 1.1 a pair without words has the F1 0.
    """
    answer_words, gold_words = normalized(answer).split(), normalized(gold).split()
    if not answer_words or not gold_words:
        return float(answer_words == gold_words)
    shared = sum((collections.Counter(answer_words) & collections.Counter(gold_words)).values())
    if not shared:
        return 0.0
    precision, recall = 1.0 * shared / len(answer_words), 1.0 * shared / len(gold_words)
    return (2 * precision * recall) / (precision + recall)


def scores_v1(answers: Mapping[str, str], gold: Answers) -> dict[str, float | int]:
    """The numbers of evaluate-v1.1.py, and how many questions count.

    Args:
      answers: question id -> answer. A question that has none scores 0.
      gold: question id -> the texts that are right, at least one.

    Returns:
      {"exact_match": percent, "f1": percent, "total": questions}.

    Raises:
      ValueError: no questions, or a question without a right answer.
    """
    _require_questions(gold)
    exact = f1 = 0.0
    for question, texts in gold.items():
        if not texts:
            raise ValueError(
                f"SQuAD 1.1 has an answer to every question. Received: none for {question!r}. "
                "Files with unanswerable questions are scored as SQuAD 2.0."
            )
        answer = answers.get(question)
        if answer is None:
            continue
        exact += max(exact_match(answer, text) for text in texts)
        f1 += max(_word_f1_v1(answer, text) for text in texts)
    total = len(gold)
    return {"exact_match": 100.0 * exact / total, "f1": 100.0 * f1 / total, "total": total}


def scores_v2(
    answers: Mapping[str, str],
    gold: Answers,
    *,
    null_odds: Mapping[str, float] | None = None,
    null_threshold: float = 1.0,
    lowest: float = 0.0,
) -> dict[str, float | int]:
    """The numbers of evaluate-v2.0.py.

    Args:
      answers: question id -> answer, "" for "there is none".
      gold: question id -> the texts that are right; none for an unanswerable question.
      null_odds: question id -> how likely it is unanswerable: a probability or any other number
        that grows with it.
      null_threshold: a question whose odds are greater counts as answered by "".
      lowest: of `best_null_threshold`; the script's is 0, for probabilities.

    Returns:
      exact, f1, total; the same with HasAns_ and NoAns_ before them for the answerable and the
      unanswerable questions, if there are any; with null_odds also best_exact, best_exact_thresh,
      best_f1, best_f1_thresh: the oracle's, which chooses the threshold on these very questions.

    Raises:
      ValueError: no questions, or a question without an answer or without odds.
    """
    _require_questions(gold)
    _require_all(gold, answers, "answer")
    if null_odds is not None:
        _require_all(gold, null_odds, "null odds")
    exact, f1 = question_scores(answers, gold)
    null = dict.fromkeys(gold, False)
    if null_odds is not None:
        null = {question: null_odds[question] > null_threshold for question in gold}
    kept_exact, kept_f1 = (
        {q: float(not gold[q]) if null[q] else one[q] for q in gold} for one in (exact, f1)
    )
    result = _means(kept_exact, kept_f1, gold)
    parts = {"HasAns": [q for q in gold if gold[q]], "NoAns": [q for q in gold if not gold[q]]}
    for name, questions in parts.items():
        if questions:
            means = _means(kept_exact, kept_f1, questions)
            result |= {f"{name}_{key}": value for key, value in means.items()}
    if null_odds is not None:
        for name, one in (("exact", exact), ("f1", f1)):
            best, threshold = best_null_threshold(
                answers, gold, one, null_odds=null_odds, lowest=lowest
            )
            result |= {f"best_{name}": best, f"best_{name}_thresh": threshold}
    return result


def question_scores(
    answers: Mapping[str, str], gold: Answers
) -> tuple[dict[str, float], dict[str, float]]:
    """(exact match, F1) of each question under 2.0, each in [0, 1]: id -> score."""
    exact, f1 = {}, {}
    for question, texts in gold.items():
        # An answer of articles and punctuation alone could never be told from "no answer".
        right = [text for text in texts if normalized(text)] or [""]
        exact[question] = float(max(exact_match(answers[question], text) for text in right))
        f1[question] = max(word_f1(answers[question], text) for text in right)
    return exact, f1


def best_null_threshold(
    answers: Mapping[str, str],
    gold: Answers,
    scores: Mapping[str, float],
    *,
    null_odds: Mapping[str, float],
    lowest: float = 0.0,
) -> tuple[float, float]:
    """The threshold of the null odds that gives the highest mean score on these questions.

    Args:
      answers: question id -> answer before any threshold.
      gold: question id -> the right texts.
      scores: question id -> the answer's score, one dict of `question_scores`.
      null_odds: question id -> odds.
      lowest: the threshold to give where answering no question at all is best; below all odds it
        does that.

    Returns:
      (percent, threshold).
    """
    # From "none is answered" one question after the other, the surest first, keeps its answer.
    score = float(sum(1 for question in gold if not gold[question]))
    best, threshold = score, lowest
    for question in sorted(gold, key=lambda q: null_odds[q]):
        if gold[question]:
            score += scores[question]
        elif answers[question]:
            score -= 1
        if score > best:
            best, threshold = score, null_odds[question]
    return 100.0 * best / len(gold), threshold


def _word_f1_v1(answer: str, gold: str) -> float:
    return word_f1(answer, gold) if normalized(answer) else 0.0


def _means(
    exact: Mapping[str, float], f1: Mapping[str, float], questions: Iterable[str]
) -> dict[str, float | int]:
    questions = list(questions)
    total = len(questions)
    return {
        "exact": 100.0 * sum(exact[q] for q in questions) / total,
        "f1": 100.0 * sum(f1[q] for q in questions) / total,
        "total": total,
    }


def _require_questions(gold: Answers) -> None:
    if not gold:
        raise ValueError("There are no questions to score.")


def _require_all(gold: Answers, given: Mapping[str, object], what: str) -> None:
    missing = [question for question in gold if question not in given]
    if missing:
        raise ValueError(
            f"Every question needs its {what}. Missing: {len(missing)} of {len(gold)}, the first: "
            f"{missing[0]!r}."
        )
