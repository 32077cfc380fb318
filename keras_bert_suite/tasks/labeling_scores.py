"""What token labelling answers and scores, from tags to JSON objects and tables."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_bert_suite.evaluation.entities import (
    Counts,
    EntityScores,
    conlleval_text,
    entities,
    entity_scores,
)
from keras_bert_suite.tasks import error_files

if TYPE_CHECKING:
    import numpy as np

    from keras_bert_suite.tasks.labeling import WordsExample

_NEIGHBOURS = 5  # words shown on each side of an error
_COUNTED = ("gold", "found", "correct")


def predictions(
    decoded: Mapping[str, np.ndarray],
    examples: Sequence[WordsExample],
    *,
    labels: Sequence[str],
    has_entities: bool,
) -> list[dict[str, Any]]:
    """Joins the rows of each example and names its tags; see `Labeling.predictions`."""
    answers = []
    for example, (starts, ends, tag_ids, scores) in zip(
        examples, _by_example(decoded, len(examples)), strict=True
    ):
        words = [example.text[start:end] for start, end in zip(starts, ends, strict=True)]
        tags = [labels[tag_id] for tag_id in tag_ids]
        # The shortest digits that give the float32 back, not the 17 of its float64.
        shares = [float(str(score)) for score in scores]
        answer: dict[str, Any] = {"words": words, "tags": tags, "scores": shares}
        if example.tags is not None:
            answer = {"words": words, "gold": list(example.tags)} | answer
        if has_entities:
            answer["entities"] = [
                {
                    "type": found.type,
                    "text": example.text[starts[found.start] : ends[found.end - 1]],
                    "start": int(starts[found.start]),
                    "end": int(ends[found.end - 1]),
                    "score": sum(shares[found.start : found.end]) / (found.end - found.start),
                }
                for found in entities(tags)
            ]
        answers.append(answer)
    return answers


def _by_example(decoded: Mapping[str, np.ndarray], count: int) -> list[tuple[np.ndarray, ...]]:
    """(starts, ends, tag ids, scores) of each example's words in their order."""
    import numpy as np

    first = decoded["is_word"] > 0
    text = np.broadcast_to(decoded["example_index"][:, None], first.shape)[first]
    keys = ("word_starts", "word_ends", "tag_ids", "tag_scores")
    columns = [decoded[key][first] for key in keys]
    # Words follow each other by their place in the text; of an empty one and the next, too.
    order = np.lexsort((columns[1], columns[0], text))
    borders = np.searchsorted(text[order], np.arange(count + 1))
    return [
        tuple(column[order[begin:end]] for column in columns)
        for begin, end in zip(borders[:-1], borders[1:], strict=True)
    ]


def unknown_tags(
    examples: Sequence[WordsExample], labels: Sequence[str]
) -> collections.Counter[str]:
    """The gold tags that no prediction can have, with how often they come."""
    counts = collections.Counter(tag for example in examples for tag in example.tags)
    return collections.Counter({t: n for t, n in counts.items() if t not in labels})


def remark(
    examples: Sequence[WordsExample], labels: Sequence[str], *, scheme: str, written_as: str | None
) -> str:
    """A line for people on the words and tags of a file; `written_as` as in `Labeling`."""
    if written_as not in (None, scheme):
        scheme += f", in place of the training file's {written_as}"
    said = f"{sum(len(e.tags or ()) for e in examples):,} words; {len(labels)} tags ({scheme})"
    repaired = sum(example.num_repaired for example in examples)
    if repaired:
        said += f"; {repaired:,} broken tags written anew as conlleval reads them"
    unknown = unknown_tags(examples, labels)
    if unknown:
        said += f"; {unknown.total():,} tags that are not learnt: {', '.join(sorted(unknown))}"
    return said


def metrics(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, plain: bool
) -> dict[str, Any]:
    """The numbers of metrics.json: conlleval's as shares; for plain tags those of each tag."""
    scores = entity_scores(gold, predicted)
    numbers: dict[str, Any] = {
        "num_examples": len(gold),
        "num_words": scores.num_tokens,
        "accuracy": scores.accuracy,
    }
    if plain:
        return numbers | _tag_metrics(gold, predicted)
    numbers["num_correct_tags"] = scores.num_correct_tags
    numbers |= _entity_metrics(scores.overall)
    numbers["types"] = {kind: _entity_metrics(counts) for kind, counts in scores.types.items()}
    return numbers


def _entity_metrics(counts: Counts) -> dict[str, Any]:
    shares = {name: getattr(counts, name) for name in ("precision", "recall", "f1")}
    return shares | {name: getattr(counts, name) for name in _COUNTED}


def _tag_metrics(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, Any]:
    import numpy as np

    from keras_bert_suite.evaluation import classification as scores

    flat = [[tag for tags in sentences for tag in tags] for sentences in (gold, predicted)]
    names = sorted(set(flat[0]) | set(flat[1]))
    ids = {name: number for number, name in enumerate(names)}
    known, answered = (np.array([ids[tag] for tag in tags]) for tags in flat)
    confusion = scores.confusion_matrix(known, answered, num_labels=len(names))
    return {
        "macro_f1": scores.macro_f1(confusion),
        "majority_accuracy": scores.majority_accuracy(confusion),
        "labels": scores.label_table(confusion, names),
    }


def error_files_of(predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """errors.jsonl with a line for each wrong word, the surest first, and confusion.svg."""
    errors, gold, found = [], [], []
    for number, answer in enumerate(predictions, start=1):
        tags = zip(answer.get("gold", ()), answer["tags"], strict=False)
        for place, (wanted, tag) in enumerate(tags):
            gold.append(wanted)
            found.append(tag)
            if wanted != tag:
                near = answer["words"][max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1]
                errors.append(
                    {
                        "example": number,
                        "word": answer["words"][place],
                        "gold": wanted,
                        "tag": tag,
                        "score": answer["scores"][place],
                        "near": " ".join(near),
                    }
                )
    return {
        "errors.jsonl": error_files.error_lines(errors, by="score"),
        **error_files.confusion_files(gold, found, sorted({*gold, *found})),
    }


def report(numbers: Mapping[str, Any]) -> str:
    """conlleval's own lines, or for plain tags the table of each tag."""
    if "types" in numbers:
        overall = _counts(numbers)
        types = {kind: _counts(one) for kind, one in numbers["types"].items()}
        text = conlleval_text(
            EntityScores(numbers["num_words"], numbers["num_correct_tags"], overall, types)
        ).rstrip("\n")
    else:
        from keras_bert_suite.evaluation import classification as scores

        text = scores.table_text(numbers["labels"], counted="words")
        text += f"\n\naccuracy: {numbers['accuracy']:.4f}\nmacro F1: {numbers['macro_f1']:.4f}"
        text += f"\naccuracy of the most frequent tag: {numbers['majority_accuracy']:.4f}"
    if numbers.get("num_repaired_tags"):
        text += f"\n{numbers['num_repaired_tags']:,} broken gold tags written anew"
    if numbers.get("num_unknown_tags"):
        text += f"\n{numbers['num_unknown_tags']:,} gold tags that the training file does not have"
    return text


def _counts(numbers: Mapping[str, Any]) -> Counts:
    return Counts(*(numbers[name] for name in _COUNTED))
