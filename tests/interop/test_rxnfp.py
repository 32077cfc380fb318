"""Real weights with all heads: BERT of 12 layers trained on chemical reactions (rxnfp, MIT).

Its wheel holds PyTorch's legacy pickles, which are read as they are, without torch. The references
are PyTorch's numbers; see PROVENANCE.md beside them.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.checkpoints import huggingface
from keras_bert_suite.checkpoints.model_directory import load_encoder, load_model
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead

pytestmark = pytest.mark.slow

_WHEEL = "rxnfp==0.1.0"  # 75 MB
_MASK_ID = 14
# The 600 rows of the classifier's reference: the file of remake_reactions.py, and how rxnfp splits
# a reaction (its tokenization.py; Schwaller et al. 2019, arXiv:1811.02633).
_REACTIONS_SHA256 = "cd6d86ec1fc4c05a683fd343edcab7d854d430e42431129842769d43a314e6e4"
_ATOMS = re.compile(
    r"\%\([0-9]{3}\)|\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\||\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?"
    r"|>>?|\*|\$|\%[0-9]{2}|[0-9]"
)
_TOLERANCE = 1e-4  # measured: hidden states 5e-6, logits 2e-5


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The folder of the three models."""
    folder = tmp_path_factory.mktemp("rxnfp")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", folder, _WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot download {_WHEEL}: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder / "rxnfp" / "models" / "transformers"


@pytest.fixture(scope="module")
def references(kbs_data):
    return kbs_data / "reference_rxnfp_bert"


@pytest.fixture(scope="module")
def pretraining(references):
    """PyTorch's answers to eight rows in two segments, four of them with masks."""
    return np.load(references / "reference_bert_pretrained.npz")


@pytest.fixture(scope="module")
def masked_rows(references):
    """200 reactions: input_ids with masks, their positions, the ids that were there."""
    return json.loads((references / "masked200.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reactions(kbs_data):
    """The first 600 reactions of test1000.tsv, in $KBS_REACTIONS or beside the other data."""
    beside = kbs_data / "reactions_uspto50k" / "test1000.tsv"
    file = pathlib.Path(os.environ.get("KBS_REACTIONS", beside))
    if not file.is_file():
        pytest.skip(f"no {file}: make it with tests/interop/remake_reactions.py")
    content = file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == _REACTIONS_SHA256
    lines = content.decode().splitlines()[1:601]
    return [line.split("\t")[1] for line in lines]


def _batch(reference):
    return {
        "token_ids": tf.constant(reference["input_ids"], tf.int32),
        "segment_ids": tf.constant(reference["token_type_ids"], tf.int32),
        "padding_mask": tf.constant(reference["attention_mask"], tf.int32),
    }


def _padded(rows):
    rows = tf.ragged.constant(rows, dtype=tf.int32)
    return {"token_ids": rows.to_tensor(), "padding_mask": tf.ones_like(rows).to_tensor()}


def _unmasked(row):
    ids = np.array(row["input_ids"])
    ids[row["positions"]] = row["labels"]
    return ids.tolist()


def test_hidden_states_and_logits(models, pretraining):
    model, batch = load_model(models / "bert_pretrained"), _batch(pretraining)
    assert list(model.heads) == ["mlm", "nsp"]  # its config.json has no `architectures`
    real = pretraining["attention_mask"][:, :, None]
    encoded = model.encoder(batch, return_all_hidden_states=True)
    hidden = np.stack(encoded["all_hidden_states"])
    np.testing.assert_allclose(hidden * real, pretraining["hidden_states"] * real, atol=_TOLERANCE)
    np.testing.assert_allclose(encoded["pooled_output"], pretraining["pooled"], atol=_TOLERANCE)
    logits = model(batch)
    np.testing.assert_allclose(
        logits["mlm_logits"] * real, pretraining["mlm_logits"] * real, atol=_TOLERANCE
    )
    np.testing.assert_allclose(logits["nsp_logits"], pretraining["nsp_logits"], atol=_TOLERANCE)


def _original_rows(pretraining, masked_rows):
    """The eight rows without masks: they stand, masked elsewhere, among the 200."""
    known, rows = [_unmasked(row) for row in masked_rows], []
    for ids, mask in zip(pretraining["input_ids"], pretraining["attention_mask"], strict=True):
        ids = ids[: mask.sum()]
        (original,) = [
            row
            for row in known
            if len(row) == len(ids)
            and all(a in (b, _MASK_ID) for a, b in zip(ids, row, strict=True))
        ]
        rows.append(original)
    return rows


def test_every_gradient_of_the_masked_lm_loss(models, references, pretraining, masked_rows):
    """The table splits our gradients too, since they lie as the weights do."""
    expected = json.loads((references / "reference_mlm_grads.json").read_text(encoding="utf-8"))
    model, batch = load_model(models / "bert_pretrained"), _batch(pretraining)
    originals = tf.ragged.constant(_original_rows(pretraining, masked_rows), dtype=tf.int32)
    masked = tf.cast(batch["token_ids"] == _MASK_ID, tf.float32)
    length = masked.shape[1]
    batch["prediction_positions"] = tf.tile(tf.range(length)[None], [len(masked), 1])
    batch["prediction_ids"] = originals.to_tensor()
    batch["prediction_weights"] = masked
    head = model.heads["mlm"]
    weights = [*model.encoder.trainable_weights, *head.trainable_weights]
    with tf.GradientTape() as tape:
        loss_sum, weight_sum = head.loss_terms(model(batch, training=False), batch)["mlm"]
        loss = loss_sum / weight_sum
    np.testing.assert_allclose(loss, expected["mlm_loss"], rtol=1e-5)
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        weight.assign(tf.zeros_like(weight.value) if gradient is None else gradient)
    gradients = huggingface.write_weights(model.encoder, {"mlm": head})
    norms = {name: np.linalg.norm(np.float64(value)) for name, value in gradients.items()}
    assert set(expected["grad_l2_norms"]) <= set(norms)  # the pooler has none
    for name, norm in expected["grad_l2_norms"].items():
        # The key's bias has no effect on a softmax: its gradient is rounding noise.
        np.testing.assert_allclose(norms[name], norm, rtol=1e-4, atol=1e-7, err_msg=name)


def test_masked_lm_on_real_reactions(models, references, masked_rows):
    """The share of masked tokens whose best guess is right, on 200 rows and 2866 masks."""
    metrics = json.loads((references / "reference_metrics.json").read_text(encoding="utf-8"))
    model = load_model(models / "bert_pretrained")
    right, total = 0, 0
    for start in range(0, 200, 40):
        rows = masked_rows[start : start + 40]
        logits = model(_padded([row["input_ids"] for row in rows]))["mlm_logits"].numpy()
        for row, row_logits in zip(rows, logits, strict=True):
            right += int(np.sum(row_logits[row["positions"]].argmax(-1) == row["labels"]))
            total += len(row["labels"])
    expected = metrics["rxnfp_bert_pretrained_mlm"]
    assert (total, right / total) == (expected["masked"], expected["top1"])


def test_classifier(models, references, masked_rows):
    reference = np.load(references / "reference_bert_ft_10k_25s.npz")
    model = load_model(models / "bert_ft_10k_25s")
    assert len(model.heads["classification"].labels) == 50
    logits = [
        model(_padded([_unmasked(row) for row in masked_rows[start : start + 40]]))["label_logits"]
        for start in range(0, 200, 40)
    ]
    logits = np.concatenate(logits)
    np.testing.assert_allclose(logits[:64], reference["logits"], atol=_TOLERANCE)
    np.testing.assert_array_equal(logits.argmax(-1), reference["argmax600"][:200])


def test_the_classifier_on_all_rows(models, references, reactions, masked_rows):
    """The best of 50 classes on 600 reactions, from their text."""
    reference = np.load(references / "reference_bert_ft_10k_25s.npz")
    folder = models / "bert_ft_10k_25s"
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    id_of = {token: index for index, token in enumerate(vocabulary)}
    tokens = [["[CLS]", *_ATOMS.findall(text), "[SEP]"] for text in reactions]
    rows = [[id_of.get(token, id_of["[UNK]"]) for token in row] for row in tokens]
    assert rows[:200] == [_unmasked(row) for row in masked_rows]
    model = load_model(folder)
    batches = [_padded(rows[start : start + 40]) for start in range(0, 600, 40)]
    logits = np.concatenate([model(batch)["label_logits"] for batch in batches])
    assert len(reference["argmax600"]) == 600
    np.testing.assert_array_equal(logits.argmax(-1), reference["argmax600"])


def test_an_encoder_without_prefix(models):
    assert load_encoder(models / "bert_ft").config.num_layers == 12


def test_a_head_of_ones_own_is_filled(models):
    config = load_encoder(models / "bert_pretrained").config
    head = MaskedLMHead.for_encoder(config)
    model = load_model(models / "bert_pretrained", heads=[head])
    assert list(model.heads) == ["mlm"] and np.any(head.bias.numpy())


def test_a_pickle_of_something_else_is_refused(models):
    """The wheel has one: the arguments of the training."""
    with pytest.raises(
        ValueError, match="names 'argparse.Namespace'.*refused, and nothing was run"
    ):
        load_encoder(models / "bert_ft_10k_25s" / "training_args.bin")
