"""BERT for TensorFlow, from raw text to answers over gRPC.

The public names are resolved on first use, so that `import keras_bert_suite` costs nothing and
TensorFlow is imported only by what needs it.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_bert_suite.checkpoints.model_directory import (
        load_encoder as load_encoder,
    )
    from keras_bert_suite.checkpoints.model_directory import load_model as load_model
    from keras_bert_suite.checkpoints.model_directory import save_model as save_model
    from keras_bert_suite.config import EncoderConfig as EncoderConfig
    from keras_bert_suite.models.bert_model import BertModel as BertModel
    from keras_bert_suite.models.encoder import Encoder as Encoder
    from keras_bert_suite.text.tokenizer import Tokenizer as Tokenizer

__version__ = "0.1.0"

# Keras reads this when it is first imported; every layer here is written for TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

_MODULE_OF = {
    "BertModel": "models.bert_model",
    "Encoder": "models.encoder",
    "EncoderConfig": "config",
    "Tokenizer": "text.tokenizer",
    "load_encoder": "checkpoints.model_directory",
    "load_model": "checkpoints.model_directory",
    "save_model": "checkpoints.model_directory",
}

__all__ = [*_MODULE_OF, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
