import pytest

from keras_bert_suite.training.pretraining_settings import PretrainingSettings

PATHS = {"train_data": "records/train-*", "output_dir": "out"}


def settings(**changes):
    return PretrainingSettings(**{**PATHS, "tokenizer": "vocabulary", **changes})


def test_defaults_are_berts():
    found = settings()
    assert (found.masking, found.objectives, found.mask_fraction) == ("token", ("mlm", "nsp"), 0.15)
    assert (found.sequence_length, found.global_batch_size) == (128, 256)
    assert (found.learning_rate, found.weight_decay, found.clip_norm) == (1e-4, 0.01, 1.0)


def test_the_flags_of_masking_reach_its_rules():
    rules = settings(
        masking="span",
        mask_fraction=0.3,
        mask_token_share=0.7,
        random_token_share=0.2,
        span_p=0.3,
        max_span_length=5,
    ).masking_rules
    assert (rules.kind, rules.fraction, rules.span_p, rules.max_span_length) == (
        "span",
        0.3,
        0.3,
        5,
    )
    assert (rules.mask_token_share, rules.random_token_share) == (0.7, 0.2)


def test_weights_of_objectives():
    assert settings().weight_of_objective == {}
    assert settings(objective_weights=("nsp=0.5",)).weight_of_objective == {"nsp": 0.5}


def test_warmup_is_a_tenth_of_the_run_and_at_most_10000_steps():
    assert settings(num_steps=500).warmup == 50
    assert settings(num_steps=1_000_000).warmup == 10_000
    assert settings(num_steps=500, warmup_steps=7).warmup == 7


def test_the_tokenizer_comes_with_the_model_to_start_from():
    assert settings().tokenizer_dir == "vocabulary"
    assert settings(tokenizer=None, init_from="model").tokenizer_dir == "model"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": None}, "--tokenizer is required without --init_from"),
        ({"dropout": 0.0, "init_from": "model"}, "--dropout belongs to a new encoder.*dropout=0.0"),
        ({"encoder": "tiny", "init_from": "model"}, "--encoder and --init_from exclude each other"),
        ({"eval_every": 5}, "--eval_every needs --eval_data"),
        ({"num_replicas": 2}, "num_replicas belongs to --strategy=mirrored alone"),
        ({"global_batch_size": 0}, "global_batch_size must be at least 1. Received: 0"),
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"max_examples_per_row": 4}, "max_examples_per_row belongs to --packing. Received"),
        ({"micro_batches": 0}, "micro_batches must be at least 1"),
        ({"eval_batch_size": 0}, "eval_batch_size must be at least 1"),
        ({"masking": "n-gram"}, "masking must be one of token, whole_word, span"),
        ({"mask_fraction": 1.5}, r"mask_fraction must be in \(0, 1\). Received: 1.5"),
        ({"span_p": 0.5}, "span_p and max_span_length belong to masking=span"),
        ({"objective_weights": ("mlm",)}, r"must be OBJECTIVE=NUMBER.*\(mlm,nsp\).* 'mlm'"),
        ({"objective_weights": ("sbo=1",)}, "at most once, and no number negative.* 'sbo=1'"),
        ({"objective_weights": ("mlm=1", "mlm=2")}, "Received: 'mlm=1,mlm=2'"),
        ({"objective_weights": ("mlm=-1",)}, "no number negative. Received: 'mlm=-1'"),
        (
            {"sequence_length": 64, "stages": ("128:1",)},
            "exclude each other. Received: sequence_length=64, stages=128:1",
        ),
        ({"stages": ("128:0.5",)}, "shares of --stages must add up to 1"),
        ({"final_model": "first"}, "final_model must be last or best. Received: 'first'"),
        ({"final_model": "best"}, "--final_model=best needs --keep_best"),
        ({"keep_best": True}, "--keep_best needs --eval_data and --eval_every"),
        ({"learning_rate": "high"}, "learning_rate must be float. Received: 'high'"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)
