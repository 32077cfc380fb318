"""Reads questions about contexts: SQuAD's JSON (1.1 and 2.0), and the same as JSON lines.

SQuAD:  {"version": ..., "data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question",
        "answers": [{"text", "answer_start"}], "is_impossible"}]}]}]}
lines:  {"id", "context", "question", "answers"} each, `answers` as above or, as the `datasets`
        library has them, {"text": [...], "answer_start": [...]}; the ending is .jsonl or .ndjson.

A question whose list of answers is empty is unanswerable, as in the official script.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows

# How far from its offset, in characters, an answer's text is looked for.
_NEARBY = 32


@dataclasses.dataclass(frozen=True)
class QuestionExample:
    """A question about a context.

    Attributes:
      question, context: the texts.
      id: names it in files of predictions; "" where there is none.
      answers: all texts that are right, for the score; () for an unanswerable question, None where
        the answers are not known.
      span: characters [start, end) of the answer to learn; None where there is none, or none that
        can be found in the context.
    """

    question: str
    context: str
    id: str = ""
    answers: tuple[str, ...] | None = None
    span: tuple[int, int] | None = None

    @property
    def lost(self) -> bool:
        """Whether it has answers of which none stands in the context where it is said to."""
        return bool(self.answers) and self.span is None


def read_questions(path: str | Path, *, bad_rows: BadRows) -> list[QuestionExample]:
    """The questions of a file in order, all with answers or known to have none.

    Raises:
      ValueError: not SQuAD; place and reason of a malformed question that `bad_rows` does not skip.
      OSError: the file cannot be opened.
    """
    examples: list[QuestionExample] = []
    seen: set[str] = set()
    for place, record in read_records(path, bad_rows=bad_rows):
        try:
            example = _example(record)
            if example.id in seen:
                raise ValueError(f"the id {example.id!r} was there before.")
        except ValueError as error:
            bad_rows.add(path, place, str(error))
            continue
        seen.add(example.id)
        examples.append(example)
    if not examples:
        raise ValueError(f"{path}: no question in it can be used.")
    return examples


def question_of(record: Mapping[str, Any]) -> QuestionExample:
    """A question without answers from {"question", "context"} and perhaps "id".

    Raises:
      ValueError: the reason why the record has none.
    """
    question = table_files.text_value(record, "question")
    return QuestionExample(question, _context(record), str(record.get("id", "")))


def read_records(
    path: str | Path, *, bad_rows: BadRows
) -> Iterator[tuple[int | str, dict[str, Any]]]:
    """Each question of a file as a flat object, with its place; it need not have answers.

    Raises:
      ValueError: not SQuAD; what `table_files.read_rows` raises.
      OSError: the file cannot be opened.
    """
    path = Path(path)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        for row in table_files.read_rows(path, bad_rows=bad_rows):
            yield row.line, row.values
        return
    try:
        content = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(
            f"{path}: not JSON: {error}. Questions are read from SQuAD's JSON, and from JSON lines "
            "where the file's name ends in .jsonl."
        ) from error
    for article, in_data in _items(path, content, "data", ""):
        for paragraph, in_article in _items(path, article, "paragraphs", in_data):
            for question, place in _items(path, paragraph, "qas", in_article):
                if not isinstance(question, dict):
                    raise _not_squad(path, place, "must be an object")
                yield place, {**question, "context": paragraph.get("context")}


def _items(path: Path, value: Any, key: str, place: str) -> Iterator[tuple[Any, str]]:
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        raise _not_squad(path, place, f'must be an object with the list "{key}"')
    place = f"{place}.{key}" if place else key
    for index, item in enumerate(value[key]):
        yield item, f"{place}[{index}]"


def _not_squad(path: Path, place: str, rule: str) -> ValueError:
    return ValueError(
        f"{path}: not SQuAD's JSON: {place or 'the whole'} {rule}. The layout is "
        '{"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers": '
        '[{"text", "answer_start"}]}]}]}]}.'
    )


def _example(record: Mapping[str, Any]) -> QuestionExample:
    # Real sets have questions of nothing but white space; they are questions all the same.
    question, context = _string(record, "question"), _context(record)
    name = record.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise ValueError(f'"id" must be a string that is not empty. Received: {name!r}.')
    answers = _answers(record)
    span = None
    for text, start in answers:
        span = span or _span(text, start, context)
    return QuestionExample(question, context, str(name), tuple(text for text, _ in answers), span)


def _context(record: Mapping[str, Any]) -> str:
    return _string(record, "context")


def _string(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise ValueError(f'"{key}" must be a string. Received: {value!r}.')
    table_files.check_unicode(value, f'"{key}"')
    return value


def _answers(record: Mapping[str, Any]) -> list[tuple[str, int]]:
    answers = record.get("answers")
    if isinstance(answers, dict):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
            pairs = zip(texts, starts, strict=True)
            answers = [{"text": text, "answer_start": start} for text, start in pairs]
    if not isinstance(answers, list):
        raise ValueError(
            '"answers" must be a list, empty for an unanswerable question. '
            f"Received: {'nothing' if answers is None else repr(answers)}."
        )
    found = []
    for answer in answers:
        text, start = (
            (answer.get("text"), answer.get("answer_start"))
            if isinstance(answer, dict)
            else (None, None)
        )
        if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
            raise ValueError(
                'an answer must have a string "text" and a whole number "answer_start". '
                f"Received: {answer!r}."
            )
        table_files.check_unicode(text, "an answer")
        found.append((text, start))
    if found and record.get("is_impossible") is True:
        raise ValueError('"is_impossible" is true, and yet there are answers.')
    return found


def _span(text: str, start: int, context: str) -> tuple[int, int] | None:
    """Where the answer stands; None unless the text is there or, exactly, nearby."""
    if not text.strip():
        return None
    if start >= 0 and context.startswith(text, start):
        return start, start + len(text)
    if start < 0:
        return None
    lowest = max(0, start - _NEARBY)
    before = context.rfind(text, lowest, start + len(text))
    after = context.find(text, start, start + len(text) + _NEARBY)
    found = [place for place in (before, after) if place >= 0]
    if not found:
        return None
    start = min(found, key=lambda place: abs(place - start))
    return start, start + len(text)
