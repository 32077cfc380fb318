#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Converts a checkpoint of any format that is read here, and shows that the numbers are the same.

Examples:
  bin/convert_checkpoint.py --source=uncased_L-12_H-768_A-12/ --output_dir=model/
  bin/convert_checkpoint.py --source=model/ --output_dir=preset/ --format=keras_hub

The source's format is detected: Hugging Face (safetensors, pytorch_model.bin, tf_model.h5, shards),
Google's TF1 checkpoints, encoders of the TensorFlow Model Garden, KerasHub presets. The result is
read again and compared layer by layer, also with the libraries it comes from and goes to where they
are installed; parity.json keeps the report. The output appears whole or not at all.
"""

from __future__ import annotations

from absl import flags

from keras_bert_suite import cli

_SOURCE = flags.DEFINE_string(
    "source", None, "Directory, file of weights, or prefix of a TF checkpoint.", required=True
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Directory to write.", required=True)
_FORMAT = flags.DEFINE_enum(
    "format", "huggingface", ["huggingface", "keras_hub"], "The format of the result."
)
_ALLOW_MISSING = flags.DEFINE_list(
    "allow_missing",
    "",
    "What the result may be without, if the source lacks it or the format has no place for it: "
    "head, pooler, tokenizer; activation, epsilon, dropout, local_attention (the format's own "
    "are taken).",
)


def main(argv: list[str]) -> None:
    del argv
    from keras_bert_suite.checkpoints.conversion import convert

    result = convert(
        _SOURCE.value,
        _OUTPUT_DIR.value,
        file_format=_FORMAT.value,
        allow_missing=_ALLOW_MISSING.value,
    )
    for note in result.notes:
        print(f"note: {note}")
    for name, comparison in result.comparisons.items():
        title = f"{name.replace('_', ' ')} ({comparison['library']})"
        if "reason" in comparison:
            print(f"{title}: not compared, {comparison['reason']}")
            continue
        print(f"{title}: largest difference {comparison['largest_difference']:.1e}")
        for layer, difference in comparison["layers"].items():
            print(f"  {layer:<16}{difference:.1e}")
    heads = ", ".join(result.heads) or "none"
    print(f"Wrote {_OUTPUT_DIR.value} from {result.format}; heads: {heads}.")


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
