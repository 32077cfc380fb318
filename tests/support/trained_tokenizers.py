"""Small tokenizers of RoBERTa's and ALBERT's kinds, trained by the libraries of those kinds."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path


def write_byte_pair(directory: Path, texts: Sequence[str]) -> None:
    """vocab.json and merges.txt of byte-level BPE, trained by the `tokenizers` library."""
    from tokenizers import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(texts, 900, special_tokens=special, show_progress=False)
    trained.save_model(str(directory))


def write_sentencepiece(directory: Path, texts: Sequence[str]) -> None:
    """A spiece.model as ALBERT's, trained by the `sentencepiece` library."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line.lower() for line in texts]),
        model_writer=written,
        vocab_size=500,
        model_type="unigram",
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="<pad>",
        unk_piece="<unk>",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        user_defined_symbols=["(", ")", '"', "-", ".", "–", "£", "€"],
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    (directory / "spiece.model").write_bytes(written.getvalue())
