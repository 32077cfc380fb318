"""Cleaning and normalising text inside the graph, as Google's BERT does before it splits words."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tensorflow_text as tf_text

# Google's tokenizer deletes NUL, U+FFFD and the categories Cc and Cf, but for tab, LF and CR.
_DELETED = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\p{Cf}\x{fffd}"
_UNWANTED = rf"[{_DELETED}]"
# Well-formed UTF-8 without anything to delete. RE2 would take surrogates (U+D800 to U+DFFF).
_CLEAN = rf"[^{_DELETED}\x{{d800}}-\x{{dfff}}]*"
# Characters that only ASCII lower-casing can change: ASCII, general punctuation without its format
# characters and separators, CJK ideographs. All but a few lines of most texts match.
_PLAIN = r"[\t\n\r -~\x{a3}\x{2010}-\x{2027}\x{2030}-\x{205e}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}]*"
# ICU lower-cases these by the process's locale (Turkish, Lithuanian); Unicode's default mappings
# are put in first. (Where accents are stripped the two agree.)
LOCALE_DEPENDENT = {
    "\u00cc": "\u00ec",
    "\u00cd": "\u00ed",
    "\u0128": "\u0129",
    "\u012e": "\u012f",
    "\u0130": "i\u0307",
}


class Normalizer:
    """Deletes what Google's tokenizer deletes, lower-cases, strips accents; all in the graph.

    Equal to `_clean_text`, `str.lower` (final sigma and U+0130 included) and
    `_run_strip_accents` (canonical decomposition, category Mn removed) of google-research/bert,
    tokenization.py, whatever the locale of the process. Bytes that are not UTF-8 become U+FFFD,
    which is deleted: the rest of the text counts.

    Args:
      lowercase: whether to lower-case.
      strip_accents: whether to decompose and to remove accents.
    """

    def __init__(self, *, lowercase: bool, strip_accents: bool):
        self.lowercase = lowercase
        self.strip_accents = strip_accents

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Normalised texts.

        Args:
          texts: string [batch], any bytes.

        Returns:
          string [batch], UTF-8. White space stays as it is.
        """
        kept = self.keeps_bytes(texts)
        if self.lowercase:
            # First for all: no locale then finds an ASCII capital to treat in its own way.
            texts = tf.strings.lower(texts)
        return rewrite_rows(texts, ~kept, self._normalize_any)

    def keeps_bytes(self, texts: tf.Tensor) -> tf.Tensor:
        """bool [batch]: True where every character surely keeps its place, byte by byte."""
        return tf.strings.regex_full_match(texts, _PLAIN)

    def bytes_left(self, characters: tf.RaggedTensor) -> tf.Tensor:
        """int32 [all characters]: how many bytes of the normalised text each character leaves.

        Args:
          characters: int32 [batch, (characters)], code points.
        """
        return bytes_of_each(characters, self)

    def _normalize_any(self, texts: tf.Tensor) -> tf.Tensor:
        dirty = ~tf.strings.regex_full_match(texts, _CLEAN)
        texts = rewrite_rows(texts, dirty, _clean)
        if self.lowercase:
            if not self.strip_accents:
                for capital, small in LOCALE_DEPENDENT.items():
                    texts = tf.strings.regex_replace(texts, capital, small)
            texts = tf.strings.lower(texts, encoding="utf-8")
        if self.strip_accents:
            texts = tf_text.normalize_utf8(texts, "NFD")
            texts = tf.strings.regex_replace(texts, r"\p{Mn}", "")
        return texts


def bytes_of_each(
    characters: tf.RaggedTensor, normalize: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """int32 [all characters]: bytes of each character when it is normalised by itself."""
    different, which = tf.unique(characters.flat_values)
    alone = tf.strings.unicode_encode(different[:, tf.newaxis], "UTF-8")
    return tf.gather(tf.strings.length(normalize(alone)), which)


def rewrite_rows(
    texts: tf.Tensor, where: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """string [batch]: `texts`, with `function` applied to the rows where `where` is True alone."""
    rows = tf.where(where)
    return tf.tensor_scatter_nd_update(texts, rows, function(tf.gather_nd(texts, rows)))


def _clean(texts: tf.Tensor) -> tf.Tensor:
    # Malformed sequences become U+FFFD, as in bytes.decode("utf-8", "replace").
    decodable = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    return tf.strings.regex_replace(decodable, _UNWANTED, "")
