#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Learns a WordPiece vocabulary from raw text.

Text files hold one paragraph a line; JSON lines (.jsonl, .json) hold a document under "text". Both
may be gzipped. The text streams: memory grows with the number of different words alone, and the
same text gives the same vocabulary every time.

Example:
  bin/make_vocabulary.py --input='texts/*.txt' --output_dir=vocabulary/ --vocab_size=8000

It leaves vocab.txt, tokenizer_config.json and special_tokens_map.json in the output directory.
"""

from __future__ import annotations

import time

from absl import flags

from keras_bert_suite import cli

_INPUT = flags.DEFINE_string(
    "input",
    None,
    "Glob of text or JSON-lines files; several are separated by commas.",
    required=True,
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Directory for the vocabulary.", required=True
)
_VOCAB_SIZE = flags.DEFINE_integer("vocab_size", 30522, "Most entries of the vocabulary.")
_LOWERCASE = flags.DEFINE_bool(
    "lowercase", True, "Lower-case the text and strip accents (an uncased model)."
)
_MIN_FREQUENCY = flags.DEFINE_integer(
    "min_frequency", 2, "How often two pieces must stand side by side to be merged."
)
_LIMIT_ALPHABET = flags.DEFINE_integer(
    "limit_alphabet", 1000, "Characters kept, the most frequent; words with others are [UNK]."
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a vocabulary that is there.")


def main(argv: list[str]) -> None:
    del argv
    from keras_bert_suite.data.document_reading import read_documents
    from keras_bert_suite.data.documents import expand_files
    from keras_bert_suite.data.progress import byte_progress
    from keras_bert_suite.text.vocabulary_training import make_vocabulary

    start = time.monotonic()
    with byte_progress(_INPUT.value, "Counting words") as progress:
        texts = (
            "\n".join(document.paragraphs)
            for path in expand_files(_INPUT.value, directories=True)
            for document in read_documents(path, on_bytes=progress.advance)
        )
        report = make_vocabulary(
            texts,
            output_dir=_OUTPUT_DIR.value,
            vocab_size=_VOCAB_SIZE.value,
            lowercase=_LOWERCASE.value,
            min_frequency=_MIN_FREQUENCY.value,
            limit_alphabet=_LIMIT_ALPHABET.value,
            overwrite=_OVERWRITE.value,
        )
    print(
        f"Read {report.num_texts:,} documents ({progress.total / 1e6:.1f} MB) in "
        f"{time.monotonic() - start:.0f} s. Wrote {report.num_entries:,} entries to "
        f"{_OUTPUT_DIR.value} ({report.unknown_share:.3%} of the pieces in a sample of the text "
        f"are unknown). Next: bin/make_pretraining_data.py --input='{_INPUT.value}' "
        f"--tokenizer={_OUTPUT_DIR.value} --output_dir=..."
    )


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
