"""The files of a SentencePiece tokenizer (ALBERT's), in Hugging Face's layout."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_bert_suite.files import atomic_write
from keras_bert_suite.text import sentencepiece_model, special_tokens
from keras_bert_suite.text.json_files import read_json, write_json
from keras_bert_suite.text.tokenizer_files import CONFIG_FILE, FAST_FILE, SPECIAL_TOKENS_FILE

MODEL_FILE = "spiece.model"

SPECIAL_TOKENS = dict(
    zip(special_tokens.ROLES, ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"), strict=True)
)


def read(directory: str | os.PathLike) -> dict[str, Any]:
    """The arguments of `SentencePieceTokenizer` that a directory holds.

    Returns:
      model (bytes), lowercase, keep_accents and special_tokens. spiece.model goes before
      tokenizer.json, tokenizer_config.json before what tokenizer.json says of casing.

    Raises:
      ValueError: no model there, a damaged file, or another kind of SentencePiece tokenizer.
    """
    directory = Path(directory)
    config = read_json(directory / CONFIG_FILE)
    special = read_json(directory / SPECIAL_TOKENS_FILE)
    names = special_tokens.names(
        SPECIAL_TOKENS,
        (directory / SPECIAL_TOKENS_FILE, special),
        (directory / CONFIG_FILE, config),
    )
    path = directory / MODEL_FILE
    options: dict[str, Any] = {"lowercase": True, "keep_accents": False}
    if path.exists():
        model = _read_bytes(path)
    else:
        path = directory / FAST_FILE
        model, options = _read_fast(path, names)
    for option, key in (("lowercase", "do_lower_case"), ("keep_accents", "keep_accents")):
        if config.get(key) is not None:
            options[option] = bool(config[key])
    return {"model": model, "source": str(path), "special_tokens": names, **options}


def write(
    directory: str | os.PathLike,
    *,
    model: bytes,
    lowercase: bool,
    keep_accents: bool,
    special_tokens: Mapping[str, str],
    max_length: int,
) -> None:
    """Writes the four files; each appears complete or not at all.

    tokenizer.json says the same as spiece.model: transformers needs the `sentencepiece` package to
    read a spiece.model alone.
    """
    directory = Path(directory)
    names = {
        "bos_token": special_tokens["cls_token"],
        "eos_token": special_tokens["sep_token"],
        **special_tokens,
    }
    config = {
        "tokenizer_class": "AlbertTokenizer",
        "do_lower_case": lowercase,
        "keep_accents": keep_accents,
        "remove_space": True,
        "model_max_length": max_length,
        **names,
    }
    write_json(directory / CONFIG_FILE, config)
    write_json(directory / SPECIAL_TOKENS_FILE, names)
    fast = _fast_tokenizer(model, names, lowercase=lowercase, keep_accents=keep_accents)
    with atomic_write(directory / FAST_FILE) as file:
        file.write(fast.to_str(pretty=True))
    # Last: a directory without it is seen to be incomplete.
    with atomic_write(directory / MODEL_FILE, "wb") as file:
        file.write(model)


def _fast_tokenizer(
    model: bytes, names: Mapping[str, str], *, lowercase: bool, keep_accents: bool
) -> Any:
    """The same tokenizer by Hugging Face's `tokenizers`."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    proto = sentencepiece_model.parse(model, source="the model")
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    fast = Tokenizer(models.Unigram(pieces, proto.trainer_spec.unk_id, byte_fallback=False))
    steps: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not keep_accents:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if lowercase:
        steps.append(normalizers.Lowercase())
    if proto.normalizer_spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap))
    steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    fast.normalizer = normalizers.Sequence(steps)
    words: dict[str, Any] = {
        "replacement": sentencepiece_model.WORD_MARK,
        "prepend_scheme": "always",
    }
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**words)]
    )
    fast.decoder = decoders.Metaspace(**words)
    fast.add_special_tokens(
        [AddedToken(names[role], normalized=False, special=True) for role in special_tokens.ROLES]
    )
    cls, sep = names["cls_token"], names["sep_token"]
    fast.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(token, fast.token_to_id(token)) for token in (cls, sep)],
    )
    return fast


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise ValueError(f"{path} must be a SentencePiece model, and it is a directory.") from None


def _read_fast(path: Path, names: Mapping[str, str]) -> tuple[bytes, dict[str, Any]]:
    """(model, options) of a tokenizer.json."""
    content = read_json(path)
    if not content:
        raise ValueError(
            f"The directory {path.parent} has no vocabulary ({MODEL_FILE} or {FAST_FILE}). Name "
            "the model's own directory."
        )
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type") != "Unigram":
        raise ValueError(f"{path}: the model must be Unigram, as ALBERT's is.")
    if model.get("byte_fallback"):
        raise ValueError(f"{path}: byte_fallback is not ALBERT's, and there is no counterpart.")
    rules, options = _normalizer(content.get("normalizer"), path)
    _check_splitter(content.get("pre_tokenizer"), path)
    try:
        pieces = [(str(text), float(score)) for text, score in model["vocab"]]
        unknown_id = int(model["unk_id"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: a Unigram model has pieces with scores and an unk_id.") from None
    assembled = sentencepiece_model.assemble(
        pieces, unknown_id=unknown_id, special=set(names.values()), rules=rules, source=str(path)
    )
    return assembled.SerializeToString(deterministic=True), options


def _normalizer(normalizer: Any, path: Path) -> tuple[bytes, dict[str, Any]]:
    """(precompiled rules, options); refuses what ALBERT's normaliser has not."""
    steps = normalizer.get("normalizers") if isinstance(normalizer, dict) else None
    if not isinstance(steps, list):
        steps = [normalizer] if isinstance(normalizer, dict) else []
    rules = b""
    kinds = []
    for step in steps:
        kind = step.get("type") if isinstance(step, dict) else None
        kinds.append(kind)
        if kind == "Precompiled":
            try:
                rules = base64.b64decode(step["precompiled_charsmap"], validate=True)
            except (KeyError, TypeError, binascii.Error):
                raise ValueError(f"{path}: precompiled_charsmap is not base64.") from None
    known = {"Replace", "NFKD", "StripAccents", "Lowercase", "Precompiled"}
    if set(kinds) - known or ("NFKD" in kinds) != ("StripAccents" in kinds):
        raise ValueError(
            f"ALBERT normalises with {', '.join(sorted(known))}. Got in {path}: {kinds}"
        )
    return rules, {"lowercase": "Lowercase" in kinds, "keep_accents": "StripAccents" not in kinds}


def _check_splitter(splitter: Any, path: Path) -> None:
    steps = splitter.get("pretokenizers", [splitter]) if isinstance(splitter, dict) else []
    kinds = [step.get("type") if isinstance(step, dict) else None for step in steps]
    if kinds not in (["WhitespaceSplit", "Metaspace"], ["Metaspace"]):
        raise ValueError(
            f"ALBERT splits at white space (WhitespaceSplit, Metaspace). Got in {path}: {kinds}"
        )
