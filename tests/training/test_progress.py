import io

from keras_bert_suite.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_where_there_is_no_terminal():
    stream = io.StringIO()
    with Progress(num_steps=10, stream=stream) as progress:
        progress.update(5, loss=1.0, tokens_per_second=10.0)
        progress.log(5, {"loss": 1.25, "tokens_per_second": 12345.6, "learning_rate": 2e-5})
        progress.message("saved")
    line, message = stream.getvalue().splitlines()
    assert line.startswith(
        "step 5/10  loss 1.2500  tokens_per_second 12,346  learning_rate 2.00e-05"
    )
    assert line.endswith("0:00:00 left")
    assert message == "saved"


def test_a_bar_on_a_terminal():
    stream = Terminal()
    with Progress(num_steps=10, stream=stream) as progress:
        progress.update(5, loss=1.25, tokens_per_second=1000.0)
        progress.log(5, {"loss": 1.25})
    text = stream.getvalue()
    assert "5/10" in text and "loss 1.2500" in text and "1,000 tokens/s" in text
    assert "step 5/10  loss 1.2500" in text


def test_quiet_shows_nothing():
    for stream in (io.StringIO(), Terminal()):
        with Progress(num_steps=10, stream=stream, quiet=True) as progress:
            progress.update(5, loss=1.0, tokens_per_second=10.0)
            progress.log(5, {"loss": 1.0})
            progress.message("hidden")
        assert stream.getvalue() == ""


def test_time_left_follows_the_pace_of_this_part_of_the_run(monkeypatch):
    from keras_bert_suite.training import progress as module

    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    progress = Progress(num_steps=1000, first_step=500, stream=io.StringIO())
    assert progress.time_left(500) == "-:--:--"
    now[0] += 100.0  # 10 steps took 100 s: 490 steps take 4900 s
    assert progress.time_left(510) == "1:21:40"
