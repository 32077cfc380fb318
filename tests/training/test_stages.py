import pytest

from keras_bert_suite.training.stages import Stage, parse_stages


def stages(*texts, rows=256, steps=1000):
    return parse_stages(texts, global_batch_size=rows, num_steps=steps)


def test_bert_trains_nine_tenths_of_the_steps_on_short_rows():
    # 256 rows of 128 have the tokens of 64 rows of 512
    assert stages("128:0.9", "512:0.1") == (Stage(128, 256, 900), Stage(512, 64, 100))


def test_rows_may_be_said():
    assert stages("128:0.9:32", "512:0.1:48", rows=1) == (Stage(128, 32, 900), Stage(512, 48, 100))


def test_the_steps_add_up_whatever_the_rounding():
    found = stages("8:0.333", "16:0.333", "32:0.334", steps=10)
    assert [stage.num_steps for stage in found] == [3, 4, 3]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["128"], r"must be LENGTH:SHARE or LENGTH:SHARE:ROWS.*Received: '128'"),
        (["128:x"], "such as 128:0.9,512:0.1. Received: '128:x'"),
        (["128:1:2:3"], "Received: '128:1:2:3'"),
        (["0:1"], "Received: '0:1'"),
        (["128:1:0"], "Received: '128:1:0'"),
        (["128:0.9", "512:0.2"], "add up to 1. Received: 128:0.9,512:0.2, 1.1 in all"),
        (["128:0.9999", "512:0.0001"], "Every stage must have a step.*num_steps=1000"),
        (
            ["128:0.5", "500:0.5"],
            "32768 a step, in whole rows. Received: rows of 500. Remedy: .* 500:SHARE:66",
        ),
    ],
)
def test_refuses(texts, message):
    with pytest.raises(ValueError, match=message):
        stages(*texts)
