"""The page that bin/demo ends with: what was done, what came out, whether it is as it should be."""

from __future__ import annotations

import os
from importlib import metadata

TOLERANCE = 1e-5  # between scores over the network and in process: float32 in other batches


def checks(results: dict, *, learnt: bool) -> dict[str, bool]:
    """What the demo shows -> whether it came out so.

    Args:
      results: of every step, as bin/_demo.py collects them.
      learnt: whether the run was long enough to tell what was learnt.
    """
    pretraining, accuracy = results["pretraining"], results["finetuning"]["accuracy"]
    checks = {
        f"answers over {way} equal those in process to {TOLERANCE:g}": difference <= TOLERANCE
        for way, difference in results["serving"]["difference"].items()
    }
    if learnt:
        checks |= {
            "the MLM loss is half a nat or more below the unigram entropy": pretraining["mlm_loss"]
            < pretraining["unigram_entropy"] - 0.5,
            "next sentences are told from random ones": pretraining["nsp_accuracy"] > 0.6,
            "pre-trained beats from scratch, from scratch the majority": accuracy["pre-trained"]
            > accuracy["from scratch"]
            > accuracy["majority class"],
        }
    return checks


def text(results: dict) -> str:
    """The page for people."""
    data, pretraining = results["data"], results["pretraining"]
    tuned, serving, seconds = results["finetuning"], results["serving"], results["seconds"]
    documents = sum(part["documents"] for part in data["text"].values())
    characters = sum(part["characters"] for part in data["text"].values())
    lines = [
        f"keras_bert_suite {metadata.version('keras-bert-suite')} on {os.cpu_count()} cores, "
        f"TensorFlow {metadata.version('tensorflow')}",
        "",
        f"Text         {documents:,} docstrings of the installed packages, "
        f"{characters / 1e6:.1f} million characters",
        f"Pre-training {pretraining['steps']:,} steps of 16 rows, 2 layers of 256, "
        f"{results['precision']}, {seconds['pre-training'] / 60:.1f} minutes",
        f"    held-out masked words: loss {pretraining['mlm_loss']:.2f} nats "
        f"(unigram entropy of the same words {pretraining['unigram_entropy']:.2f}), "
        f"{pretraining['mlm_accuracy']:.1%} right",
        f"    held-out next sentences: {pretraining['nsp_accuracy']:.1%} right (chance 50 %)",
        f"Fine-tuning  which of {len(data['package_labels'])} packages is this text from? "
        f"{data['package']['train']:,} rows to learn",
    ]
    lines += [
        f"    {name:15} {tuned['accuracy'][name]:6.1%} of {tuned['test_rows']:,} test rows right"
        for name in ("majority class", "from scratch", "pre-trained")
    ]
    lines.append("Serving      answers that came back over gRPC")
    for question, label, score in zip(
        serving["texts"], serving["labels"], serving["scores"], strict=True
    ):
        lines.append(f"    {label} {score:.3f} <- {question}")
    lines.append(
        "    largest difference from the scores computed in process: "
        + ", ".join(f"{way} {value:.1e}" for way, value in serving["difference"].items())
    )
    lines += [f"[{'ok' if good else 'NOT'}] {what}" for what, good in results["checks"].items()]
    parts = ", ".join(f"{title} {value:.0f}" for title, value in seconds.items())
    lines += ["", f"{results['total_seconds'] / 60:.1f} minutes; seconds: {parts}"]
    return "\n".join(lines) + "\n"
