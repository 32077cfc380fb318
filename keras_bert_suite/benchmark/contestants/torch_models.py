"""What the contestants on PyTorch share: loading a model, handing over a batch."""

from __future__ import annotations


def load(kind, options, **more):
    """Returns a model of transformers from a model directory.

    Args:
      kind: an Auto class, "AutoModelForMaskedLM" for instance.
      options: model_dir; dtype, a name of PyTorch's.
      **more: for from_pretrained.
    """
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.from_pretrained(options["model_dir"])
    if config.hidden_act in ("gelu_new", "gelu_fast"):
        # The same function in one operation, where those are Python's: PyTorch at its best.
        config.hidden_act = "gelu_pytorch_tanh"
    return getattr(transformers, kind).from_pretrained(
        options["model_dir"],
        config=config,
        dtype=getattr(torch, options["dtype"]),
        attn_implementation="sdpa",
        **more,
    )


def tensors(batch):
    """Returns transformers' inputs of a batch of ours.

    Without padding there is no mask: transformers then takes PyTorch's faster attention.
    """
    import torch

    inputs = {
        "input_ids": torch.tensor(batch["token_ids"], dtype=torch.int64),
        "token_type_ids": torch.tensor(batch["segment_ids"], dtype=torch.int64),
    }
    if not batch["padding_mask"].all():
        inputs["attention_mask"] = torch.tensor(batch["padding_mask"], dtype=torch.int64)
    return inputs
