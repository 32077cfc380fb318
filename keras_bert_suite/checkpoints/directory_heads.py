"""Which heads a model directory holds, and which of them a caller's own heads are equal to."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.checkpoints import huggingface, huggingface_config
from keras_bert_suite.checkpoints.huggingface import CurrentNames
from keras_bert_suite.checkpoints.rename import listed
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.heads.head import Head

_log = logging.getLogger(__name__)


class DirectoryHeads:
    """The heads of one model directory; made when asked for, their weights not yet read.

    Args:
      path: the directory, for messages.
      config: the encoder's.
      values: config.json.
      source: the tensors.
      dtype: Keras dtype policy of the heads that are made.
    """

    def __init__(
        self,
        path: Path,
        config: EncoderConfig,
        values: Mapping[str, Any],
        source: CurrentNames,
        *,
        dtype: str | None,
    ):
        self._path = path
        self._config = config
        self._values = values
        self._source = source
        self._dtype = dtype

    def all(self) -> list[Head]:
        """Returns every head of the directory, fresh.

        Raises:
          ValueError: a head that is none of ours, or tensors that belong to no head.
        """
        try:
            kinds = huggingface_config.stored_heads(self._values, self._source, strict=True)
            heads = [self._make(kind) for kind in kinds]
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self._path / 'config.json'}: {error}") from error
        surplus = huggingface.surplus_tensors(self._source, kinds)
        if surplus:
            raise ValueError(
                f"{self._source.path}: holds tensors of no head in config.json: {listed(surplus)}. "
                "Load its encoder alone, or give the heads that it shall have"
            )
        return heads

    def equal_to(self, wanted: Sequence[Head]) -> list[Head]:
        """Returns those of the wanted heads whose weights the directory holds.

        A log line says which of the others start fresh and which heads are left out.

        Raises:
          ValueError: a head is not made for this encoder or could not be stored with it, or
            config.json contradicts itself.
        """
        try:
            kinds = huggingface_config.stored_heads(self._values, self._source, strict=False)
        except ValueError as error:
            raise ValueError(f"{self._path / 'config.json'}: {error}") from error
        equal = []
        # A head of the caller's own making may be trained, though not be stored here.
        known = [head.kind for head in wanted if head.kind in huggingface.KNOWN_HEADS]
        huggingface.check_heads(self._config.family, known)
        for head in wanted:
            if head.hidden_size != self._config.hidden_size:
                raise ValueError(
                    f"A head must have the encoder's hidden size, {self._config.hidden_size} in "
                    f"{self._path}. Received: hidden_size={head.hidden_size} ({head.kind})"
                )
            if head.kind not in kinds:
                _log.info("%s: no %s head in it; it starts fresh", self._path, head.kind)
                continue
            difference = self._difference(head)
            if difference:
                message = "%s: its %s head is another (%s); it starts fresh"
                _log.warning(message, self._path, head.kind, difference)
            else:
                equal.append(head)
        left_out = [kind for kind in kinds if kind not in {head.kind for head in wanted}]
        if left_out:
            _log.info("%s: heads left out: %s", self._path, listed(left_out))
        return equal

    def _difference(self, head: Head) -> str:
        """What keeps the stored weights from meaning the same in this head; "" if nothing."""
        try:
            stored = self._make(head.kind)
        except (ValueError, TypeError) as error:
            return str(error)
        labels, layer = getattr(stored, "labels", []), getattr(stored, "hidden_activation", None)
        if labels != getattr(head, "labels", []):
            return f"labels {listed(labels)}"
        if layer != getattr(head, "hidden_activation", None):
            return f"hidden_activation {layer!r}"
        for name in ("problem_type", *head.own_options):
            if getattr(stored, name, None) != getattr(head, name, None):
                return f"{name} {getattr(stored, name)!r}"
        return ""

    def _make(self, kind: str) -> Head:
        rules = self._source.table.heads[kind]
        name = rules[-1].theirs[0] if rules else ""  # the bias of the logits
        shape = self._source.shape(name) if name in self._source.names else ()
        return huggingface_config.make_head(
            kind,
            self._config,
            self._values,
            dtype=self._dtype,
            num_labels=shape[0] if shape else None,
        )
