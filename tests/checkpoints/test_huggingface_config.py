"""What config.json says of the heads, in both directions."""

from __future__ import annotations

import pytest

from keras_bert_suite.checkpoints import huggingface_config
from keras_bert_suite.checkpoints.huggingface_config import make_head, stored_heads
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead


class _Names:
    path = "model.safetensors"

    def __init__(self, *names):
        self.names = set(names)


_MLM, _NSP, _CLASSIFIER = "cls.predictions.bias", "cls.seq_relationship.bias", "classifier.bias"


@pytest.mark.parametrize(
    "kinds, name",
    [
        ([], "BertModel"),
        (["mlm", "nsp"], "BertForPreTraining"),
        (["nsp", "mlm"], "BertForPreTraining"),
        (["mlm"], "BertForMaskedLM"),
        (["nsp"], "BertForNextSentencePrediction"),
        (["classification"], "BertForSequenceClassification"),
        (["mlm", "classification"], "BertForSequenceClassification"),
        (["labeling"], "BertForTokenClassification"),
        (["qa"], "BertForQuestionAnswering"),
    ],
)
def test_architecture(kinds, name):
    assert huggingface_config.architecture_of(kinds) == name


@pytest.mark.parametrize(
    "architectures, names, kinds",
    [
        (["BertForPreTraining"], [_MLM, _NSP], ["mlm", "nsp"]),
        (["BertForMaskedLM"], [_MLM], ["mlm"]),
        (["BertForMaskedLM"], [_MLM, _NSP], ["mlm", "nsp"]),  # google-bert/bert-base-uncased
        (["BertForSequenceClassification"], [_CLASSIFIER], ["classification"]),
        (["BertModel"], [], []),
        (None, [_MLM, _NSP], ["mlm", "nsp"]),  # before `architectures` was written
        (None, [_CLASSIFIER], []),  # of what kind nobody can tell
        (["BertForPreTraining"], [], ["mlm", "nsp"]),  # their tensors will be missed
    ],
)
def test_heads_of_a_foreign_directory(architectures, names, kinds):
    values = {} if architectures is None else {"architectures": architectures}
    assert stored_heads(values, _Names(*names), strict=True) == kinds


@pytest.mark.parametrize(
    "family, kinds, name",
    [
        ("roberta", ["classification"], "RobertaForSequenceClassification"),
        ("albert", ["mlm", "sop"], "AlbertForPreTraining"),
        ("albert", ["sop"], "AlbertForPreTraining"),  # transformers has no class for it alone
        ("distilbert", ["qa"], "DistilBertForQuestionAnswering"),
        ("electra", ["rtd"], "ElectraForPreTraining"),
        ("electra", [], "ElectraModel"),
    ],
)
def test_architectures_of_the_families(family, kinds, name):
    assert huggingface_config.architecture_of(kinds, family) == name
    foreign = {"model_type": family, "architectures": [name]}
    stored = stored_heads(foreign, _Names(), strict=True)
    assert set(kinds) <= set(stored)


def test_an_architecture_of_another_family():
    values = {"model_type": "roberta", "architectures": ["BertForMaskedLM"]}
    with pytest.raises(ValueError, match="must be of RobertaModel, .*Received: BertForMaskedLM"):
        stored_heads(values, _Names(), strict=True)


def test_heads_of_our_directory():
    values = {
        "architectures": ["BertForSequenceClassification"],
        "keras_bert_suite": {"heads": [{"kind": "mlm"}, {"kind": "classification"}]},
    }
    assert stored_heads(values, _Names(), strict=True) == ["mlm", "classification"]


def test_an_architecture_that_we_have_no_head_for():
    values = {"architectures": ["BertLMHeadModel"]}
    with pytest.raises(ValueError, match="`architectures` must be of .*BertLMHeadModel"):
        stored_heads(values, _Names("classifier.bias"), strict=True)
    assert stored_heads(values, _Names("classifier.bias"), strict=False) == []


@pytest.mark.parametrize(
    "values, message",
    [
        (
            {"architectures": ["BertModel"], "keras_bert_suite": {"heads": [{"kind": "mlm"}]}},
            r"`architectures` \['BertModel'\] contradicts the heads \['mlm'\].*remove",
        ),
        ({"keras_bert_suite": {"heads": [{"kind": "own"}]}}, "A head must be one of .*'own'"),
        ({"keras_bert_suite": {"heads": [{}]}}, "A head must be one of .*None"),
        ({"keras_bert_suite": {"heads": ["mlm"]}}, "must be a list of objects"),
        ({"keras_bert_suite": {"heads": 1}}, "must be a list of objects"),
        ({"keras_bert_suite": []}, '"keras_bert_suite" must be an object'),
        ({"architectures": "BertModel"}, "must be a list of names. Received: 'BertModel'"),
        ({"architectures": [3]}, "must be a list of names"),
    ],
)
def test_contradictions(values, message):
    with pytest.raises(ValueError, match=message):
        stored_heads(values, _Names(), strict=True)


@pytest.mark.parametrize(
    "values, labels",
    [
        ({"id2label": {"1": "yes", "0": "no"}}, ["no", "yes"]),
        ({}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        # Releases before 4 wrote two placeholders whatever the number of labels.
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
    ],
)
def test_labels(tiny, values, labels):
    head = make_head("classification", tiny.CONFIG, values, num_labels=3)
    assert head.labels == labels


@pytest.mark.parametrize(
    "values, message",
    [
        ({"id2label": {"0": "a", "2": "b"}}, r"must number the labels 0, 1, 2, .*\['0', '2'\]"),
        ({"id2label": ["a", "b"]}, "`id2label` must be an object"),
        ({"id2label": {"0": "a", "1": "a"}}, "`labels` must differ"),
        ({"problem_type": "ranking"}, "`problem_type` must be one of single.*Received: 'ranking'"),
        ({"problem_type": "regression"}, "`labels` must name the one number. Received: .*LABEL_1"),
    ],
)
def test_labels_that_are_none(tiny, values, message):
    with pytest.raises(ValueError, match=message):
        make_head("classification", tiny.CONFIG, values, num_labels=2)


def test_dropout_of_the_classifier(tiny):
    head = make_head("classification", tiny.CONFIG, {"classifier_dropout": 0.25}, num_labels=2)
    assert head.dropout_rate == 0.25
    head = make_head("classification", tiny.CONFIG, {"classifier_dropout": None}, num_labels=2)
    assert head.dropout_rate == tiny.CONFIG.hidden_dropout


def test_describe_literally(tiny):
    heads = {"classification": tiny.make_head("classification", labels=["no", "yes"])}
    assert huggingface_config.describe(tiny.CONFIG, heads, dtype="float32") == {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "vocab_size": 11,
        "hidden_size": 4,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 6,
        "max_position_embeddings": 8,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "dtype": "float32",
        "id2label": {"0": "no", "1": "yes"},
        "label2id": {"no": 0, "yes": 1},
        "classifier_dropout": 0.1,
        "problem_type": "single_label_classification",
        "keras_bert_suite": {"heads": [{"kind": "classification"}]},
    }


def test_a_head_that_config_json_cannot_say(tiny):
    head = MaskedLMHead.for_encoder(tiny.CONFIG.replace(activation="relu"))
    with pytest.raises(ValueError, match=r"Received: activation='relu' \(encoder: 'gelu'\)"):
        huggingface_config.describe(tiny.CONFIG, {"mlm": head}, dtype="float32")


def test_a_head_without_a_table(tiny):
    with pytest.raises(ValueError, match="one of mlm, nsp, classification, .*'own'"):
        huggingface_config.describe(tiny.CONFIG, {"own": object()}, dtype="float32")


def test_labels_stand_once_in_config_json(tiny):
    config = EncoderConfig.from_name("roberta-base", hidden_size=4, num_heads=2)
    heads = {
        kind: tiny.make_head(kind, config=config, labels=["a", "b"])
        for kind in ("classification", "labeling")
    }
    with pytest.raises(ValueError, match="has one list of labels. Received: both"):
        huggingface_config.describe(config, heads, dtype="float32")


def test_a_head_that_the_family_does_not_have(tiny):
    config = EncoderConfig.from_name("roberta-base", hidden_size=4, num_heads=2)
    heads = {"rtd": tiny.make_head("rtd", config=config)}
    with pytest.raises(ValueError, match="saved with an encoder of the family 'roberta'. .*'rtd'"):
        huggingface_config.describe(config, heads, dtype="float32")


# Where each family keeps the dropout of its heads, and what an absent key means.
@pytest.mark.parametrize(
    "family, kind, key, default",
    [
        ("roberta", "classification", "classifier_dropout", 0.3),
        ("electra", "labeling", "classifier_dropout", 0.3),
        ("albert", "classification", "classifier_dropout_prob", 0.1),
        ("albert", "labeling", "classifier_dropout_prob", 0.1),
        ("albert", "sop", "classifier_dropout_prob", 0.1),
        ("distilbert", "classification", "seq_classif_dropout", 0.2),
        ("distilbert", "labeling", None, 0.3),
        ("distilbert", "qa", "qa_dropout", 0.1),
        ("bert", "qa", None, 0.0),
    ],
)
def test_dropouts_of_the_families(family, kind, key, default):
    name = {"bert": "base", "albert": "albert-base-v2", "electra": "electra-small"}
    config = EncoderConfig.from_name(
        name.get(family, f"{family}-base"),
        hidden_size=4,
        num_heads=2,
        vocab_size=9,
        hidden_dropout=0.3,
    )
    assert make_head(kind, config, {}, num_labels=2).dropout_rate == default
    if key is not None:
        assert make_head(kind, config, {key: 0.4}, num_labels=2).dropout_rate == 0.4


def test_one_label_without_a_problem_type_is_a_regression(tiny):
    """As transformers guesses it."""
    head = make_head("classification", tiny.CONFIG, {"id2label": {"0": "LABEL_0"}}, num_labels=1)
    assert (type(head).__name__, head.labels) == ("RegressionHead", ["LABEL_0"])
