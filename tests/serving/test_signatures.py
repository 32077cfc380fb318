import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert_suite as kbs
from keras_bert_suite.serving.signatures import Signatures
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.multiple_choice import MultipleChoice
from keras_bert_suite.tasks.question_answering import QuestionAnswering
from keras_bert_suite.tasks.regression import Regression


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra", "albert"])
def test_every_family_answers_tokens_as_the_model_does(family):
    tokenizer = kbs.Tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] the fox dog".split())
    config = kbs.EncoderConfig.from_huggingface(
        {
            "model_type": family,
            "vocab_size": 8,
            "hidden_size": 8,
            "dim": 8,
            "embedding_size": 8,
            "num_hidden_layers": 1,
            "n_layers": 1,
            "num_attention_heads": 2,
            "n_heads": 2,
            "intermediate_size": 8,
            "hidden_dim": 8,
            "max_position_embeddings": 16,
            "pad_token_id": 0,
        }
    )
    task = Classification(text_column="text", labels=("no", "yes"))
    model = kbs.BertModel(kbs.Encoder(config), [task.head(config)])
    signatures = Signatures(model, tokenizer=tokenizer, task=task, max_length=12).build()
    batch = tokenizer(["the fox", "the dog dog"])
    inputs = {name: tf.constant(value) for name, value in batch.items()}
    logits = model(batch)["label_logits"]
    answers = signatures["tokens"].compute(inputs)
    np.testing.assert_allclose(answers["label_logits"], logits, atol=1e-5)
    texts = {"text": tf.constant(["the fox", "the dog dog"])}
    scores = signatures["serving_default"].compute(texts)["scores"]
    np.testing.assert_allclose(scores, tf.nn.softmax(logits), atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="segment_ids must be in"):
        wrong = {**inputs, "segment_ids": inputs["segment_ids"] + 5}
        signatures["tokens"].compute(wrong)


@pytest.mark.parametrize(
    "task, names",
    [
        (Regression(text_a_column="text_a", text_b_column="text_b"), ["text_a", "text_b"]),
        (MultipleChoice(), ["text_a", "text_b"]),
    ],
    ids=["regression", "multiple choice"],
)
def test_a_number_answers_examples_for_regress(task, names):
    tokenizer = kbs.Tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] the fox dog".split())
    config = kbs.EncoderConfig(
        vocab_size=8, hidden_size=8, num_layers=1, num_heads=2, intermediate_size=8
    )
    keras.utils.set_random_seed(1)
    model = kbs.BertModel(kbs.Encoder(config), [task.head(config)])
    for weight in model.weights:
        if "kernel" in weight.path:
            weight.assign(weight * 20)
    signatures = Signatures(model, tokenizer=tokenizer, task=task, max_length=12).build()
    assert sorted(signatures) == ["regress", "serving_default", "tokens"]
    assert signatures["regress"].method == "tensorflow/serving/regress"
    rows = [["the fox", "dog"], ["dog", "the the"]]
    texts = {name: tf.constant([row[i] for row in rows]) for i, name in enumerate(names)}
    wanted = signatures["serving_default"].compute(texts)[task.number]
    features = [
        {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
            for name, text in zip(names, row, strict=True)
        }
        for row in rows
    ]
    examples = [
        tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
        for feature in features
    ]
    found = signatures["regress"].compute({"inputs": tf.constant(examples)})
    assert list(found) == ["outputs"]
    np.testing.assert_allclose(found["outputs"], wanted, atol=1e-6)
    assert abs(wanted[0] - wanted[1]) > 1e-4, "the texts must differ"


def test_texts_of_different_numbers_of_rows_are_refused():
    tokenizer = kbs.Tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] the fox dog".split())
    config = kbs.EncoderConfig(
        vocab_size=8, hidden_size=8, num_layers=1, num_heads=2, intermediate_size=8
    )
    for task, names in (
        (QuestionAnswering(), ("question", "context")),
        (MultipleChoice(), ("text_a", "text_b")),
    ):
        model = kbs.BertModel(kbs.Encoder(config), [task.head(config)])
        signatures = Signatures(model, tokenizer=tokenizer, task=task, max_length=12).build()
        for rows in ((1, 0), (0, 1), (2, 1), (1, 2)):
            texts = {name: tf.constant(["fox"] * n) for name, n in zip(names, rows, strict=True)}
            with pytest.raises(tf.errors.InvalidArgumentError) as raised:
                signatures["serving_default"].compute(texts)
            assert f"{', '.join(names)} must have the same number of rows" in str(raised.value)
            assert f"Received:'\n{rows[0]}, {rows[1]}" in str(raised.value)
