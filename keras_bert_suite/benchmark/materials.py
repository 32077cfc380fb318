"""What contestants are given: one model in every peer's format, texts, a vocabulary."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.config import EncoderConfig

_PACKAGES = ("keras", "numpy")  # always installed, and parsed in a few seconds
_SEED = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user told.

    Attributes:
      encoder: a named size or a config.json, in the place of the suites' own; or None.
      model_dir: a checkpoint to take weights from, in the place of random ones; or None.
      tokenizer: a directory; None takes that of model_dir, or learns a vocabulary from the texts.
      text: glob of text files, one text a line; None takes docstrings of installed packages.
      torch_python, onnx_python, model_garden_python: interpreters of virtual environments with
        peers; a peer without one stays away.
      google_bert_dir: a checkout of google-research/bert, or None.
      threads: of every contestant; None leaves the choice to the libraries: all cores.
      scale: 1 is the work that the suites state; tests take less.
    """

    encoder: str | None = None
    model_dir: str | None = None
    tokenizer: str | None = None
    text: str | None = None
    torch_python: str | None = None
    onnx_python: str | None = None
    model_garden_python: str | None = None
    google_bert_dir: str | None = None
    threads: int | None = None
    scale: float = 1.0

    def __post_init__(self):
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be at least 1. Received: {self.threads}.")
        if not 0 < self.scale <= 1:
            raise ValueError(f"scale must be in (0, 1]. Received: {self.scale}.")

    def scaled(self, count: int, *, least: int = 1) -> int:
        """A count of the suite's own, made smaller."""
        return max(least, round(count * self.scale))


class Texts:
    """Real texts and a tokenizer for them, made when they are first asked for.

    Args:
      settings: of the user.
      directory: of the vocabulary.
    """

    def __init__(self, settings: Settings, directory: Path):
        self._settings, self._directory = settings, directory

    @functools.cached_property
    def all(self) -> list[str]:
        """Real texts, a paragraph each, at least one."""
        if self._settings.text is not None:
            from keras_bert_suite.data.documents import expand_files

            lines: Iterator[str] = (
                line.strip()
                for path in expand_files(self._settings.text, directories=True)
                for line in Path(path).read_text(encoding="utf-8").splitlines()
            )
            texts = [line for line in lines if line]
            if not texts:
                raise ValueError(f"No text in {self._settings.text}.")
            return texts
        from keras_bert_suite.data.docstrings import collect_documents

        library = Path(sysconfig.get_paths()["purelib"])
        roots: dict[Path, str | None] = {library / name: name for name in _PACKAGES}
        documents = collect_documents(roots)
        return [part for document in documents for part in document.paragraphs if part]

    @functools.cached_property
    def tokenizer_directory(self) -> str:
        """The user's tokenizer, that of the checkpoint, or a vocabulary learned from the texts."""
        told = self._settings.tokenizer or self._settings.model_dir
        if told is not None:
            return told
        from keras_bert_suite.text.vocabulary_training import make_vocabulary

        path = self._directory / "vocabulary"
        make_vocabulary(self.all, output_dir=path)
        return str(path)

    @functools.cached_property
    def tokenizer(self):
        """The Tokenizer of `tokenizer_directory`."""
        from keras_bert_suite.text.tokenizer import Tokenizer

        return Tokenizer.from_directory(self.tokenizer_directory)

    def of_lengths(self, lengths: Sequence[int]) -> list[str]:
        """Texts that have about these many tokens: consecutive words of the real texts."""
        words = itertools.cycle(word for text in self.all for word in text.split())
        # A word of prose is 1.3 pieces; two places belong to [CLS] and [SEP].
        counts = [max(1, round((length - 2) / 1.3)) for length in lengths]
        return [" ".join(itertools.islice(words, count)) for count in counts]

    def lines(self, megabytes: float) -> list[str]:
        """The texts, repeated until they are so many megabytes of UTF-8."""
        lines: list[str] = []
        wanted, size = megabytes * 1e6, 0.0
        for text in itertools.cycle(self.all):
            if size >= wanted:
                return lines
            lines.append(text)
            size += len(text.encode()) + 1
        raise AssertionError("there is at least one text")


class Materials:
    """Makes what a suite needs.

    Args:
      settings: of the user.
      directory: of the suite's files; the caller removes it.
      texts: which all suites share.
    """

    def __init__(self, settings: Settings, directory: Path, texts: Texts):
        self.settings, self.directory, self.texts = settings, directory, texts
        self._numbers = itertools.count()

    def path(self, name: str) -> Path:
        """A path that nothing else has."""
        return self.directory / f"{next(self._numbers):03d}_{name}"

    def config(self, default: EncoderConfig, **changes) -> EncoderConfig:
        """The encoder of a suite: its own, or the one that the user told.

        The activation is the tanh form of GELU, the only one of KerasHub's BERT, unless a
        checkpoint says otherwise.
        """
        if self.settings.model_dir is not None:
            from keras_bert_suite.checkpoints.model_directory import load_encoder

            return load_encoder(self.settings.model_dir).config
        told = self.settings.encoder
        if told is None:
            return default.replace(activation="gelu_tanh", **changes)
        make = EncoderConfig.from_json_file if told.endswith(".json") else EncoderConfig.from_name
        return make(told).replace(activation="gelu_tanh", **changes)

    def model(self, config: EncoderConfig, *, head=None):
        """A BertModel with random weights, or those of the user's checkpoint.

        Args:
          config: of `config`.
          head: a Head, or None.
        """
        import keras

        from keras_bert_suite.checkpoints.model_directory import load_model
        from keras_bert_suite.models.bert_model import BertModel
        from keras_bert_suite.models.encoder import Encoder

        keras.utils.set_random_seed(_SEED)
        heads = [head] if head is not None else []
        if self.settings.model_dir is not None:
            return load_model(self.settings.model_dir, heads=heads)
        return BertModel(Encoder(config), heads)

    def model_directory(self, model, *, tokenizer=None) -> str:
        """Writes a model for us and transformers; returns the directory."""
        from keras_bert_suite.checkpoints.model_directory import save_model

        path = self.path("model")
        save_model(model, path, tokenizer=tokenizer)
        return str(path)

    def preset(self, model, *, tokenizer=None) -> str:
        """Writes a model for KerasHub; returns the directory."""
        from keras_bert_suite.checkpoints import huggingface
        from keras_bert_suite.checkpoints.keras_hub_preset import write_preset

        path = self.path("preset")
        path.mkdir()
        classifier = model.heads.get("classification")
        heads = {"classification": classifier} if classifier is not None else {}
        write_preset(
            path,
            model.encoder.config,
            huggingface.write_weights(model.encoder, heads),
            classifier=classifier,
            tokenizer=tokenizer,
        )
        return str(path)

    def vocabulary_options(self) -> dict[str, Any]:
        """The tokenizer as peers take it: vocabulary, a vocab.txt, and lowercase."""
        path, tokenizer = self.path("vocab.txt"), self.texts.tokenizer
        path.write_text("\n".join(tokenizer.vocabulary) + "\n", encoding="utf-8")
        return {"vocabulary": str(path), "lowercase": tokenizer.lowercase}
