#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Makes data sets of the docstrings of the installed Python packages. Nothing is downloaded.

Example:
  bin/make_demo_data.py --output_dir=demo_data/

It leaves, each in train, dev and test:
  text/*.jsonl     raw text, one docstring a document
  package/*.tsv    classification: which package does this text come from?
  pairs/*.tsv      sentence pairs: does this body belong to this summary?
"""

from __future__ import annotations

import os

from absl import flags

from keras_bert_suite import cli

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Directory to make; one that is there is replaced.", required=True
)
_NUM_PACKAGES = flags.DEFINE_integer("num_packages", 6, "Classes: the packages with most text.")
_TRAIN_ROWS = flags.DEFINE_integer(
    "train_rows", 1000, "Rows of package/train.tsv; few, so that pre-training has something to add."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the choice and the order of the rows.")
_WORKERS = flags.DEFINE_integer("workers", os.cpu_count(), "Processes that parse.")


def main(argv: list[str]) -> None:
    del argv
    from keras_bert_suite.data.demo_sets import write_demo_data
    from keras_bert_suite.data.docstrings import collect_documents

    output_dir = _OUTPUT_DIR.value
    stats = write_demo_data(
        collect_documents(workers=_WORKERS.value),
        output_dir,
        num_packages=_NUM_PACKAGES.value,
        train_rows=_TRAIN_ROWS.value,
        seed=_SEED.value,
    )
    text = stats["text"]
    print(
        f"Wrote {sum(part['documents'] for part in text.values()):,} documents "
        f"({sum(part['characters'] for part in text.values()) / 1e6:.1f} million characters), "
        f"{sum(stats['package'].values()):,} package rows and {sum(stats['pairs'].values()):,} "
        f"pairs to {output_dir}. Packages: {', '.join(stats['package_labels'])}. "
        f"Next: bin/make_vocabulary.py --input={os.path.join(output_dir, 'text', 'train.jsonl')} "
        "--vocab_size=8000 --output_dir=..."
    )


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
