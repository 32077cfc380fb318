"""Names for heads that transformers has in no class of a family; it leaves their tensors unread."""

from __future__ import annotations

from keras_bert_suite.checkpoints.rename import TRANSPOSED, Rule, dense, norm

# Kind -> rules, as in `FamilyTable.heads`; a family's own names for a kind come first.
OWN_HEADS = {
    "nsp": dense("nsp.classifier", "next_sentence.classifier"),
    "sop": dense("sop.classifier", "sentence_order.classifier"),
    "sbo": (
        Rule("sbo.distances.embeddings", ("span_boundary.distance_embeddings.weight",)),
        *dense("sbo.hidden_1", "span_boundary.hidden_1"),
        *norm("sbo.norm_1", "span_boundary.norm_1"),
        *dense("sbo.hidden_2", "span_boundary.hidden_2"),
        *norm("sbo.norm_2", "span_boundary.norm_2"),
        *dense("sbo.projection", "span_boundary.projection"),
        Rule("sbo.bias", ("span_boundary.bias",)),
    ),
    "span": (
        Rule("span.parts.kernel", ("span_classifier.parts.weight",), TRANSPOSED),
        Rule("span.widths.embeddings", ("span_classifier.widths.weight",)),
        *norm("span.norm", "span_classifier.norm"),
        *dense("span.classifier", "span_classifier.output"),
    ),
    # Heads without weights.
    "embedding": (),
    "token_vectors": (),
}
