"""Fine-tuning a classifier on texts of the lengths that people send: an epoch, from text on."""

from __future__ import annotations

import json
from typing import Any

from keras_bert_suite.benchmark import workloads
from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.materials import Materials
from keras_bert_suite.benchmark.peers import torch_entrant
from keras_bert_suite.config import EncoderConfig

_TEXTS, _ROWS, _LENGTH = 128, 32, 128
_COMPARED = 8  # texts whose logits are compared before the training
_LABELS = ("0", "1", "2", "3")
# The shape of MiniLM (arXiv:2002.10957), in which small fine-tuned models are often met.
ENCODER = EncoderConfig(num_layers=6, hidden_size=384, num_heads=12, intermediate_size=1536)


def cases(materials: Materials) -> list[Case]:
    """The same epoch in float32 and bfloat16."""
    model_dir, preset = classifier(materials, ENCODER)
    count = materials.settings.scaled(_TEXTS, least=_COMPARED)
    work = {
        "texts": labelled_texts(materials, count),
        "rows": min(_ROWS, count),
        "length": _LENGTH,
        "compared": _COMPARED,
    }
    found = []
    for dtype, aims in (("float32", (3.0, 2.5)), ("bfloat16", (None, None))):
        policy = "float32" if dtype == "float32" else "mixed_bfloat16"
        shared: dict[str, Any] = {"preset": preset, "dtype": policy, "length": _LENGTH}
        hub = [
            Entrant(
                label=f"KerasHub at {_LENGTH}{'' if jit else ' without XLA'} {policy}",
                contestant="keras_hub_classifier",
                options={**shared, "jit": jit},
            )
            for jit in ("auto", False)
        ]
        torch = torch_entrant(
            materials.settings,
            f"PyTorch, dynamic padding {dtype}",
            "torch_classifier",
            model_dir=model_dir,
            autocast=dtype == "bfloat16",
        )
        ours = {"model_dir": model_dir, "precision": dtype, "labels": _LABELS}
        found.append(
            Case(
                name=f"{count} texts of 4 to {_LENGTH} tokens, median 30, {dtype}",
                unit="useful tokens",
                entrant=Entrant(label=f"ours {dtype}", contestant="own_classifier", options=ours),
                work=work,
                rivals=[
                    *(Rival(entrant=entrant, work=work, wanted=aims[0]) for entrant in hub),
                    *(Rival(entrant=entrant, work=work, wanted=aims[1]) for entrant in torch),
                ],
                compares="numbers",
            )
        )
    return found


def classifier(materials: Materials, default: EncoderConfig) -> tuple[str, str]:
    """Writes a classifier with a tokenizer; returns (model directory, KerasHub preset)."""
    from keras_bert_suite.models.heads.classification import ClassificationHead

    tokenizer = materials.texts.tokenizer
    config = materials.config(default, vocab_size=tokenizer.vocab_size)
    head = ClassificationHead.for_encoder(config, labels=_LABELS)
    model = materials.model(config, head=head)
    return (
        materials.model_directory(model, tokenizer=tokenizer),
        materials.preset(model, tokenizer=tokenizer),
    )


def labelled_texts(materials: Materials, count: int) -> str:
    """Texts of natural lengths; the label is the quarter of the alphabet of the first letter."""
    texts = materials.texts.of_lengths(workloads.natural_lengths(count, longest=_LENGTH).tolist())
    path = materials.path("texts.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for text in texts:
            place = min(max(ord(text.lower()[0]) - ord("a"), 0), 25)
            print(json.dumps({"text": text, "label": _LABELS[place * 4 // 26]}), file=file)
    return str(path)
