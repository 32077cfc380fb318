"""The names in transformers' `tf_model.h5`.

They are Hugging Face's own with "/" for ".", below the groups of a Keras file:
`bert/tf_bert_model/bert/encoder/layer_._0/attention/self/query/kernel:0`. One rule covers every
family. Source: transformers 4, modeling_tf_pytorch_utils.py,
`convert_tf_weight_name_to_pt_weight_name`.
"""

from __future__ import annotations

import re

from keras_bert_suite.checkpoints.foreign_names import KERNEL, SAME, ForeignRule

_ENDINGS = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}


def rule_for(name: str) -> ForeignRule:
    """Returns the rule of one dataset."""
    path = name.removesuffix(":0")
    # The first group repeats the name of the layer; within, the first part is the model's own name.
    path = re.sub(r"(^|/)[^/]*___", r"\1", path.split("/", 1)[-1]).replace("_._", "/")
    parts = [part for part in path.split("/") if part][1:] or [path]
    layout = KERNEL if parts[-1] == "kernel" else SAME
    parts[-1] = _ENDINGS.get(parts[-1], parts[-1])
    return ForeignRule(name, ".".join(parts), layout)
