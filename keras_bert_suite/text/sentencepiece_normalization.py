"""Normalising text as ALBERT does before its SentencePiece model, inside the graph."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_text as tf_text

from keras_bert_suite.text.normalization import LOCALE_DEPENDENT, bytes_of_each, rewrite_rows

_QUOTES = "``|''"
_ASCII = r"[\t\n\r -~]*"
# tensorflow-text's operation takes NUL for the end of the text. No vocabulary has this one, either.
_UNKNOWN_CHARACTER = "\U000f0000"
# What is white space to Unicode; SentencePiece takes U+0020 alone for it.
_WHITE_SPACE = (
    r"[\t\n\f\r\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
)
# `tokenizers` lower-cases character by character; ICU would write a final sigma.
_LOWER = {**LOCALE_DEPENDENT, "\u03a3": "\u03c3"}


class SentencePieceNormalizer:
    """Two ` or two ' become ", accents go, capitals go, white space becomes spaces.

    Equal to the normaliser of Hugging Face's `AlbertTokenizer`, whatever the locale of the process:
    NFKD and no marks (Google's code keeps the marks of combining class 0, as in Devanagari), then
    lower case. What the model's own rules do comes after. Bytes that are not UTF-8 become U+FFFD.

    Args:
      lowercase: whether to lower-case.
      keep_accents: whether to leave compatibility characters and accents as they are.

    Source: google-research/albert, tokenization.py, preprocess_text.
    """

    def __init__(self, *, lowercase: bool, keep_accents: bool):
        self.lowercase = lowercase
        self.keep_accents = keep_accents

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Normalised texts.

        Args:
          texts: string [batch], any bytes.

        Returns:
          string [batch], UTF-8.
        """
        return self._characters(tf.strings.regex_replace(texts, _QUOTES, '"'))

    def keeps_bytes(self, texts: tf.Tensor) -> tf.Tensor:
        """bool [batch]: True where every character surely keeps its place, byte by byte."""
        quoted = tf.strings.regex_full_match(texts, f"(?s).*(?:{_QUOTES}).*")
        return tf.strings.regex_full_match(texts, _ASCII) & ~quoted

    def bytes_left(self, characters: tf.RaggedTensor) -> tf.Tensor:
        """int32 [all characters]: how many bytes of the normalised text each one leaves.

        Args:
          characters: int32 [batch, (characters)], code points.
        """
        sizes = bytes_of_each(characters, self._characters)
        return tf.where(_opens_quote(characters), 0, sizes)

    def _characters(self, texts: tf.Tensor) -> tf.Tensor:
        """All that changes each character by itself."""
        beyond_ascii = ~tf.strings.regex_full_match(texts, _ASCII)
        if self.lowercase:
            # First for all: no locale then finds an ASCII capital to treat in its own way.
            texts = tf.strings.lower(texts)
        texts = rewrite_rows(texts, beyond_ascii, self._beyond_ascii)
        return tf.strings.regex_replace(texts, _WHITE_SPACE, " ")

    def _beyond_ascii(self, texts: tf.Tensor) -> tf.Tensor:
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        texts = tf.strings.regex_replace(texts, r"\x00", _UNKNOWN_CHARACTER)
        if not self.keep_accents:
            texts = tf_text.normalize_utf8(texts, "NFKD")
            texts = tf.strings.regex_replace(texts, r"\p{M}", "")
        if self.lowercase:
            for capital, small in _LOWER.items():
                texts = tf.strings.regex_replace(texts, capital, small)
            # ASCII's first again: taking an accent off may have left one of its capitals.
            texts = tf.strings.lower(tf.strings.lower(texts), encoding="utf-8")
        return texts


def _opens_quote(characters: tf.RaggedTensor) -> tf.Tensor:
    """bool [all characters]: the first of each two ` or ' that become one "."""
    codes = characters.flat_values
    rows = characters.value_rowids()
    as_next = (codes[1:] == codes[:-1]) & (rows[1:] == rows[:-1])
    begins = tf.concat([tf.ones_like(codes[:1], tf.bool), ~as_next], 0)
    place = tf.range(tf.size(codes))
    run = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    since = place - tf.gather(tf.boolean_mask(place, begins), run)
    has_next = tf.concat([as_next, tf.zeros_like(codes[:1], tf.bool)], 0)
    return ((codes == ord("'")) | (codes == ord("`"))) & (since % 2 == 0) & has_next
