"""BERT for TensorFlow, from raw text to answers over gRPC.

The public names are resolved on first use, so that `import keras_bert_suite` costs nothing and
TensorFlow is imported only by what needs it.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_bert_suite.checkpoints.adapter_set import AdapterSet as AdapterSet
    from keras_bert_suite.checkpoints.conversion import convert as convert
    from keras_bert_suite.checkpoints.model_directory import (
        load_encoder as load_encoder,
    )
    from keras_bert_suite.checkpoints.model_directory import load_model as load_model
    from keras_bert_suite.checkpoints.model_directory import load_tokenizer as load_tokenizer
    from keras_bert_suite.checkpoints.model_directory import save_model as save_model
    from keras_bert_suite.checkpoints.surgery import cast_weights as cast_weights
    from keras_bert_suite.checkpoints.surgery import keep_layers as keep_layers
    from keras_bert_suite.checkpoints.surgery import resize_positions as resize_positions
    from keras_bert_suite.checkpoints.vocabulary_surgery import add_words as add_words
    from keras_bert_suite.checkpoints.vocabulary_surgery import swap_vocabulary as swap_vocabulary
    from keras_bert_suite.config import EncoderConfig as EncoderConfig
    from keras_bert_suite.models.bert_model import BertModel as BertModel
    from keras_bert_suite.models.encoder import Encoder as Encoder
    from keras_bert_suite.text.tokenizer import Tokenizer as Tokenizer
    from keras_bert_suite.training.prediction import Predictor as Predictor

__version__ = "0.1.0"

# Keras reads this when it is first imported; every layer here is written for TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

_MODULE_OF = {
    "AdapterSet": "checkpoints.adapter_set",
    "BertModel": "models.bert_model",
    "Encoder": "models.encoder",
    "EncoderConfig": "config",
    "Predictor": "training.prediction",
    "Tokenizer": "text.tokenizer",
    "add_words": "checkpoints.vocabulary_surgery",
    "cast_weights": "checkpoints.surgery",
    "convert": "checkpoints.conversion",
    "keep_layers": "checkpoints.surgery",
    "load_encoder": "checkpoints.model_directory",
    "load_model": "checkpoints.model_directory",
    "load_tokenizer": "checkpoints.model_directory",
    "resize_positions": "checkpoints.surgery",
    "save_model": "checkpoints.model_directory",
    "swap_vocabulary": "checkpoints.vocabulary_surgery",
}

__all__ = [*_MODULE_OF, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
