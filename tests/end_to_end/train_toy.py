"""Trains the toy model in a process of its own: `train_toy.py JSON`. No test itself.

The JSON is a list of runs, each with: strategy, output (an .npz of the final variables), and maybe
loop ("trainer", "fit" or "dropout"), steps, trainer (arguments of Trainer), model (of tiny_model,
or of bag_model with "bag"), poison (of RandomSource).
"""

import functools
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402

from keras_bert_suite.training import strategies  # noqa: E402

make_strategy = functools.cache(strategies.make_strategy)


def train(options, strategy):
    import training_toy as toy

    from keras_bert_suite.training.step_function import distributed_batches
    from keras_bert_suite.training.trainer import Trainer

    make = toy.bag_model if options.get("bag") else toy.tiny_model
    model = make(strategy, **options.get("model", {}))
    poison = options.get("poison")  # JSON's keys are strings
    source = toy.RandomSource(poison=poison and {int(k): v for k, v in poison.items()})
    steps = options.get("steps", 5)
    if options.get("loop") == "fit":
        batches = distributed_batches(source, strategy)
        model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0)
    else:
        result = Trainer(
            model=model,
            source=source,
            strategy=strategy,
            num_steps=steps,
            output_dir=options["output"] + ".run",
            **{"quiet": True, **options.get("trainer", {})},
        ).run()
        assert result.step == steps
    averages = getattr(model.optimizer, "_model_variables_moving_average", [])
    return {f"{i:03d}": v.numpy() for i, v in enumerate([*model.variables, *averages])}


def dropout(options, strategy):
    """Each replica's training output for one and the same input."""
    import tensorflow as tf
    import training_toy as toy

    model = toy.tiny_model(strategy, **options["model"])
    rows = {k: tf.constant(v) for k, v in toy.RandomSource().rows(0).items()}
    outputs = strategy.run(lambda: model.encoder(rows, training=True)["pooled_output"])
    local = strategy.experimental_local_results(outputs)
    return {f"replica_{i}": value.numpy() for i, value in enumerate(local)}


def main(runs):
    for options in runs:
        strategy = make_strategy(options["strategy"])
        work = dropout if options.get("loop") == "dropout" else train
        arrays = work(options, strategy)
        if strategies.is_chief(strategy):
            np.savez(options["output"], **arrays)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
