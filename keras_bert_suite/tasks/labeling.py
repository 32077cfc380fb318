"""One tag for every word of a sentence (named entities, parts of speech, chunks)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import labeling_files, labeling_scores, table_files, tag_schemes
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.labeling_files import Sentence
from keras_bert_suite.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class WordsExample:
    """A text, its words, and their tags where they are known.

    Attributes:
      text: the words with a space between each two, or running text.
      words: None for running text, whose words are found when it is tokenized.
      tags: one a word, in the task's scheme.
      num_repaired: how many tags of the file were written anew.
    """

    text: str
    words: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    num_repaired: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labeling(Task[WordsExample]):
    """Token labelling: each word's tag from its first piece.

    Files are what `tasks/labeling_files.py` reads. In training every piece of a word carries its
    tag, later ones with I- in place of B- (`tag_schemes.continuation`). The tags are those of the
    training file, completed for each type of entity, unless `labels` tells them; a tag's id is its
    place. A tag of another file that is not among them counts as a word that is not found.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 5.3.
    """

    name: ClassVar[str] = "labeling"

    word_column: str | None = option(
        help="Column of the words: a name, or a number (0 the first, -1 the last). Default: the "
        "first column, FORM of CoNLL-U, tokens of JSON lines.",
        adjustable=True,
    )
    tag_column: str | None = option(
        help="Column of the tags, likewise. Default: the last column, UPOS of CoNLL-U, tags of "
        "JSON lines.",
        adjustable=True,
    )
    tag_scheme: str | None = option(
        help=f"How tags mark entities: {', '.join(tag_schemes.SCHEMES)} (default: found out from "
        "the training file)."
    )
    labels: tuple[str, ...] = option(
        (),
        kind="list",
        help="All label names in the order of their ids, comma separated (default: those of the "
        "training file, sorted).",
    )
    written_as: str | None = None  # the training file's scheme, where that is another

    def __post_init__(self):
        if self.tag_scheme not in (None, *tag_schemes.SCHEMES):
            raise ValueError(
                f"--tag_scheme must be one of {', '.join(tag_schemes.SCHEMES)}. "
                f"Received: {self.tag_scheme}."
            )
        repeated = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if repeated:
            raise ValueError(f"--labels names {', '.join(repeated)} more than once.")

    @property
    def best_by(self) -> str:  # type: ignore[override]
        return "accuracy" if self.tag_scheme == tag_schemes.PLAIN else "f1"

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[WordsExample]]:
        sentences = self._sentences(path, bad_rows)
        detected = tag_schemes.detect([sentence.tags for sentence in sentences])
        scheme = self.tag_scheme or detected.scheme
        examples = _examples(self._known(path, sentences, scheme, bad_rows), scheme)
        found = {tag for example in examples for tag in example.tags}
        labels = self.labels or tag_schemes.all_tags(found, scheme)
        if len(labels) < 2:
            raise ValueError(
                f"{path}: at least two tags are needed to learn. The tag column has: "
                f"{', '.join(map(repr, labels)) or 'none'}. Another is told by --tag_column."
            )
        task = dataclasses.replace(
            self, labels=labels, tag_scheme=scheme, written_as=detected.source
        )
        return task, examples

    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[WordsExample]:
        return _examples(self._sentences(path, bad_rows), self.tag_scheme)

    def remarks(self, examples: Sequence[WordsExample]) -> list[str]:
        written = {"scheme": self.tag_scheme or tag_schemes.PLAIN, "written_as": self.written_as}
        return [labeling_scores.remark(examples, self.labels, **written)]

    def records(
        self, path: str | Path, *, bad_rows: BadRows
    ) -> Iterator[tuple[int | str, dict[str, Any]]]:
        columns = {"word_column": self.word_column, "tag_column": self.tag_column}
        return labeling_files.read_records(path, **columns, bad_rows=bad_rows)

    def example(self, record: Mapping[str, Any]) -> WordsExample:
        """From {"tokens": [words]} or {"text": running text}, or the training's word column."""
        column = self.word_column or "tokens"
        if column not in record and "text" in record:
            return WordsExample(table_files.text_value(record, "text"))
        if column not in record:
            raise ValueError(
                f"no {column!r} (a list of words) and no 'text'. There is: "
                f"{', '.join(map(repr, record)) or 'nothing'}."
            )
        words = labeling_files.words_value(dict(record), column)
        return WordsExample(" ".join(words), words)

    def features(
        self, examples: Sequence[WordsExample], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        from keras_bert_suite.data.word_features import word_features

        ids = {label: i for i, label in enumerate(self.labels)}
        inside = [tag_schemes.continuation(tag, self.tag_scheme) for tag in self.labels]
        later = [ids.get(tag, i) for i, tag in enumerate(inside)]
        tags = None
        if examples and examples[0].tags is not None:
            tags = [[ids.get(tag, -1) for tag in example.tags] for example in examples]
        return word_features(
            [example.text for example in examples],
            [example.words for example in examples],
            tokenizer,
            max_length=max_length,
            tags=tags,
            tags_of_later_pieces=later,
        )

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead

        return TokenLabelingHead.for_encoder(config, labels=self.labels, dtype=dtype)

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """{"tag_ids": int32, "tag_scores": float32, a softmax: [B, S]}: the best of every token.

        Where the batch knows the words, int32 [B, S] "is_word" too: whether a word begins there,
        with "word_starts" and "word_ends", its characters.
        """
        import tensorflow as tf

        scores = tf.nn.softmax(tf.cast(outputs["tag_logits"], tf.float32))
        answers = {
            "tag_ids": tf.argmax(scores, -1, output_type=tf.int32),
            "tag_scores": tf.reduce_max(scores, -1),
        }
        if "word_starts" in batch:
            answers["is_word"] = tf.cast(batch["word_starts"] >= 0, tf.int32)
            answers |= {key: batch[key] for key in ("word_starts", "word_ends")}
        return answers

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[WordsExample]
    ) -> list[dict[str, Any]]:
        """{"words", "tags", "scores": lists, and "entities": [{"type", "text", "start", "end",

        "score": the mean of its words'}] unless the tags are plain}. Offsets are characters of the
        running text, or of the words with a space between each two; "gold" where it is known.
        """
        return labeling_scores.predictions(
            decoded, examples, labels=self.labels, has_entities=self.tag_scheme != tag_schemes.PLAIN
        )

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[WordsExample]
    ) -> dict[str, Any]:
        """conlleval's numbers as shares, or for plain tags the accuracy and each tag's scores."""
        gold = [example.tags for example in examples]
        predicted = [prediction["tags"] for prediction in predictions]
        metrics = labeling_scores.metrics(gold, predicted, plain=self.tag_scheme == "plain")
        metrics["num_repaired_tags"] = sum(example.num_repaired for example in examples)
        metrics["num_unknown_tags"] = labeling_scores.unknown_tags(examples, self.labels).total()
        return metrics

    def score_file(
        self,
        predictions_file: str,
        *,
        data_file: str | None = None,
        null_odds_file: str | None = None,
    ) -> dict[str, Any]:
        """Scores the columns word, gold, predicted, as conlleval takes them.

        Args:
          predictions_file: columns; the last is the predicted tag, the one before it the gold tag.
          data_file: where it is given, the gold tags are this file's, which has the same words.
          null_odds_file: there is no such thing.
        """
        if null_odds_file:
            raise ValueError("--null_odds_file does not apply to the task 'labeling'.")
        columns = {"word_column": self.word_column, "tag_column": self.tag_column}
        tags, found = labeling_files.read_scored(predictions_file, data_file, **columns)
        scheme = self.tag_scheme or tag_schemes.detect(tags).scheme
        return labeling_scores.metrics(tags, found, plain=scheme == tag_schemes.PLAIN)

    def prediction_files(self, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return labeling_scores.error_files_of(predictions)

    def report(self, metrics: Mapping[str, Any]) -> str:
        return labeling_scores.report(metrics)

    def signature(self) -> dict[str, dict[str, Any]]:
        return {"serving_default": {"inputs": ["text"]}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        from keras_bert_suite.data.word_features import batch_of_texts

        return batch_of_texts(texts["text"], tokenizer, max_length=max_length)

    def served(
        self,
        decoded: Mapping[str, tf.Tensor],
        batch: Mapping[str, tf.Tensor],
        texts: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Of texts "words", "tags" string, "tag_scores" float32, "starts", "ends" int32: [B, W],

        with "num_words" int32 [B]; behind a text's words "" and 0; of token ids `decode`'s.
        """
        from keras_bert_suite.data.word_features import answers_of_texts

        if "word_slots" not in batch:
            return dict(decoded)
        return answers_of_texts(decoded, batch, labels=self.labels)

    def _sentences(self, path: str | Path, bad_rows: BadRows) -> list[Sentence]:
        return labeling_files.read_sentences(
            path,
            word_column=self.word_column,
            tag_column=self.tag_column,
            bad_rows=bad_rows,
            labels=self.labels,
        )

    def _known(
        self, path: str | Path, sentences: list[Sentence], scheme: str, bad_rows: BadRows
    ) -> list[Sentence]:
        """The sentences whose tags `labels` has, where it is told."""
        if not self.labels:
            return sentences
        kept = []
        for sentence in sentences:
            tags = zip(sentence.tags, tag_schemes.repaired(sentence.tags, scheme), strict=True)
            foreign = [tag for tag, written in tags if written not in self.labels]
            if foreign:
                bad_rows.add(
                    path,
                    sentence.line,
                    f"the sentence that begins here has the tag {foreign[0]!r}, which --labels "
                    f"does not name: {', '.join(self.labels)}.",
                )
            else:
                kept.append(sentence)
        return kept


def _examples(sentences: Sequence[Sentence], scheme: str) -> list[WordsExample]:
    # Another way to write the same, such as IOB1, is not a fault.
    same = tag_schemes.detect([sentence.tags for sentence in sentences]).source == scheme
    examples = []
    for sentence in sentences:
        tags = tag_schemes.repaired(sentence.tags, scheme)
        changed = sum(a != b for a, b in zip(tags, sentence.tags, strict=True))
        text = " ".join(sentence.words)
        examples.append(WordsExample(text, sentence.words, tags, changed if same else 0))
    return examples
