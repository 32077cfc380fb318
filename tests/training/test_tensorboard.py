import json

import tensorflow as tf

from keras_bert_suite.training.tensorboard import TrainingLog


def read_events(directory):
    found = {}
    for path in directory.glob("events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_writes_json_lines_and_events(tmp_path):
    log = TrainingLog(tmp_path)
    log.write(2, {"loss": 1.5})
    log.write(2, {"loss": 1.25}, kind="eval")
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [
        {"step": 2, "kind": "train", "loss": 1.5},
        {"step": 2, "kind": "eval", "loss": 1.25},
    ]
    assert read_events(tmp_path / "logs" / "train") == {("loss", 2): 1.5}
    assert read_events(tmp_path / "logs" / "eval") == {("loss", 2): 1.25}


def test_a_resumed_run_takes_out_the_steps_that_it_repeats(tmp_path):
    log = TrainingLog(tmp_path)
    for step in (1, 2, 3):
        log.write(step, {"loss": 1.0 / step})
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 4, "ki')  # a killed process cut this line
    resumed = TrainingLog(tmp_path, first_step=2)
    resumed.write(3, {"loss": 0.5})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 1.0), (2, 0.5), (3, 0.5)]
    assert resumed.history == lines


def test_other_workers_write_nothing(tmp_path):
    log = TrainingLog(tmp_path, is_chief=False)
    log.write(1, {"loss": 1.0})
    assert log.history and list(tmp_path.iterdir()) == []
