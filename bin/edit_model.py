#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Makes a model directory from another: more words, another vocabulary, positions, windows, layers.

Examples:
  bin/edit_model.py --model_dir=bert/ --output_dir=medical/ --add_words=words.txt
  bin/edit_model.py --model_dir=bert/ --output_dir=medical/ --add_words=covid=corona+virus,stent
  bin/edit_model.py --model_dir=bert/ --output_dir=german/ --vocabulary=german/vocab.txt
  bin/edit_model.py --model_dir=bert/ --output_dir=long/ --max_positions=4096 --local_attention=128
  bin/edit_model.py --model_dir=bert/ --output_dir=small/ --num_layers=6 --dtype=bfloat16
  bin/edit_model.py --model_dir=lora/ --output_dir=plain/ --merge

Heads, labels and task stay. New words, new positions and left-out layers want training: the result
is what bin/pretrain.py and bin/finetune.py begin from (--init_from).
"""

from __future__ import annotations

import dataclasses

from absl import flags

from keras_bert_suite import cli

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Model directory to read.", required=True)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Model directory to write; another one.", required=True
)
_ADD_WORDS = flags.DEFINE_string(
    "add_words",
    None,
    "Words that shall be one token each: a file with one a line, or a list with commas. "
    "new=old1+old2 takes the mean of the old words' rows for the new one's.",
)
_VOCABULARY = flags.DEFINE_string(
    "vocabulary",
    None,
    "vocab.txt to use instead of the model's; entries in both keep their rows. The casing stays.",
)
flags.DEFINE_enum(
    "new_rows",
    "pieces",
    ["pieces", "mean"],
    "What the row of a new word begins with: the mean of the pieces that it was made of so far, or "
    "of all rows.",
)
flags.DEFINE_integer(
    "max_positions", None, "Tokens of the longest row; fewer than now are the first ones."
)
flags.DEFINE_enum(
    "positions",
    "copy",
    ["copy", "interpolate"],
    "Where new positions come from: the old ones again, which keeps the answers on texts that fit "
    "now, or stretched over the new length.",
)
flags.DEFINE_integer("num_layers", None, "Keep the first layers, so many.")
flags.DEFINE_integer(
    "local_attention",
    None,
    "For long texts: tokens of the window that a token sees, half to each side, in all layers but "
    "the global ones.",
)
flags.DEFINE_integer(
    "global_attention_every", 3, "With --local_attention: layers 0, n, 2 n, ... see all tokens."
)
flags.DEFINE_enum(
    "dtype",
    None,
    ["float32", "bfloat16", "float16"],
    "Of the stored weights (default: that of the model directory).",
)
flags.DEFINE_bool(
    "merge", False, "Make a plain model of a tuned part (of bin/finetune.py --tuning) and its base."
)
flags.DEFINE_string("base_dir", None, "Of a tuned part: its base, if not where it says.")


def main(argv):
    del argv
    from keras_bert_suite.checkpoints.model_editing import Edits, edit_model, read_words
    from keras_bert_suite.text.vocabulary import read_vocabulary

    vocabulary, words = _VOCABULARY.value, _ADD_WORDS.value
    fields = {field.name for field in dataclasses.fields(Edits)}
    told = {name: flags.FLAGS[name].value for name in fields.intersection(flags.FLAGS)}
    told["vocabulary"] = None if vocabulary is None else read_vocabulary(vocabulary)
    told["words"] = None if words is None else read_words(words)
    changes = edit_model(_MODEL_DIR.value, _OUTPUT_DIR.value, Edits(**told))
    print(
        f"Wrote {_OUTPUT_DIR.value} ({'; '.join(changes)}). Next: bin/finetune.py "
        f"--init_from={_OUTPUT_DIR.value}"
    )


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
