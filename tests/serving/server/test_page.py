"""The page to try a model, in headless Chromium (Debian: chromium and chromium-driver)."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import tensorflow as tf


def write_model(directory, signature, *inputs, task=None, tasks=None):
    """Version 1 of a model of strings; `signature` gives its outputs, those of all `tasks`."""
    module = tf.Module()
    specs = [tf.TensorSpec([None], tf.string, name=name) for name in inputs]
    module.call = tf.function(signature, input_signature=specs, autograph=False)
    signatures = dict.fromkeys(tasks or ["serving_default"], module.call)
    tf.saved_model.save(module, str(directory / "1"), signatures=signatures)
    described = {"tasks": {name: {"task": one} for name, one in tasks.items()}} if tasks else {}
    if task or tasks:
        (directory / "1" / "serving.json").write_text(json.dumps({"task": task, **described}))


def like(text, value, dtype):
    """The same answer for every text."""
    value = tf.constant(value, dtype)
    return tf.repeat(value[None], tf.shape(text)[0], axis=0)


def topics(text):
    return {"scores": like(text, [0.2, 0.7, 0.1], tf.float32), "label": like(text, "b", tf.string)}


def question(question, context):
    del question
    return {
        "answer": tf.strings.substr(context, 3, 4, unit="UTF8_CHAR"),
        "score": like(context, 0.9, tf.float32),
        "start": like(context, 3, tf.int32),
        "end": like(context, 7, tf.int32),
    }


def names(text):
    return {
        "words": like(text, ["Ada", "Lovelace", "met", "Babbage"], tf.string),
        "tags": like(text, ["B-PER", "I-PER", "O", "B-PER"], tf.string),
        "starts": like(text, [2, 6, 15, 19], tf.int32),
        "ends": like(text, [5, 14, 18, 26], tf.int32),
        "num_words": like(text, 4, tf.int32),
    }


def spans(text):
    return {
        "span_label": like(text, ["b", "a", ""], tf.string),
        "span_score": like(text, [0.9, 0.8, 0.0], tf.float32),
        "span_start": like(text, [6, 2, 0], tf.int32),
        "span_end": like(text, [9, 5, 0], tf.int32),
    }


def fillings(text):
    words, scores = [["cat", "dog"], ["ran", "sat"], ["", ""]], [[0.7, 0.2], [0.6, 0.3], [0, 0]]
    return {"word": like(text, words, tf.string), "score": like(text, scores, tf.float32)}


def refusing(text):
    with tf.control_dependencies([tf.debugging.Assert(False, ["<b>refused</b>"])]):
        return {"label": tf.identity(text)}


@pytest.fixture(scope="module")
def served(start_server, tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    write_model(
        root / "a_topics",
        topics,
        "text",
        task={"name": "classification", "labels": ["a", "<i>b</i>", "c"]},
    )
    write_model(root / "questions", question, "question", "context", task={"name": "qa"})
    write_model(root / "names", names, "text", task={"name": "labeling"})
    write_model(root / "refusing", refusing, "text")
    write_model(root / "spans", spans, "text", task={"name": "span"})
    write_model(root / "words", fillings, "text", task={"name": "fill_mask"})
    tasks = {"kinds": {"name": "classification", "labels": ["a", "b", "c"]}, "more": {"name": "x"}}
    write_model(root / "z_several", topics, "text", tasks=tasks)
    config = "".join(
        f'config {{ name: "{path.name}" base_path: "{path}" model_platform: "tensorflow" }}\n'
        for path in sorted(root.iterdir())
    )
    (root / "models.config").write_text(f"model_config_list {{ {config} }}")
    return start_server(f"--model_config_file={root / 'models.config'}", "--web_page")


@pytest.fixture(scope="module")
def browser():
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("Debian's packages chromium and chromium-driver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=800,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        driver.implicitly_wait(10)
        yield driver


def ask(browser, served, model, **texts):
    """Types the texts, asks, and returns the element of the answer."""
    browser.get(f"http://{served.rest}/")
    browser.find_element("css selector", f"option[value='{model}']").click()
    for name, text in texts.items():
        browser.find_element("id", f"in-{name}").send_keys(text)
    browser.find_element("id", "ask").click()
    browser.find_element("css selector", "#answer summary")  # waits for the answer
    return browser.find_element("id", "answer")


@pytest.mark.slow
def test_labels_have_bars_the_best_first(browser, served):
    answer = ask(browser, served, "a_topics", text="anything")
    rows = [row.text.split("\n") for row in answer.find_elements("css selector", ".row")]
    assert rows == [["<i>b</i>", "0.700"], ["a", "0.200"], ["c", "0.100"]]
    widths = [bar.size["width"] for bar in answer.find_elements("css selector", ".bar")]
    assert widths[0] > 3 * widths[1] > 0


@pytest.mark.slow
def test_each_of_several_tasks_can_be_asked(browser, served):
    answer = ask(browser, served, "z_several: kinds", text="anything")
    best = answer.find_element("css selector", ".row")
    assert best.text.split("\n") == ["b", "0.700"]
    answer.find_element("css selector", "summary").click()
    assert '{"signature_name":"kinds","instances"' in browser.find_element("id", "curl").text


@pytest.mark.slow
def test_an_answer_is_marked_in_its_context(browser, served):
    context = "Äé\N{COMBINING ACUTE ACCENT}nine lives"
    answer = ask(browser, served, "questions", question="How many?", context=context)
    assert answer.find_element("css selector", "strong").text == "nine"
    assert [mark.text for mark in answer.find_elements("css selector", "mark")] == ["nine"]
    assert answer.find_element("css selector", ".text").text == context


@pytest.mark.slow
def test_entities_are_marked_with_their_types_and_the_request_can_be_repeated(browser, served):
    answer = ask(browser, served, "names", text=". Ada Lovelace met Babbage, it's said")
    marks = [mark.text.split("\n")[0] for mark in answer.find_elements("css selector", "mark")]
    assert [mark.removesuffix("PER").strip() for mark in marks] == ["Ada Lovelace", "Babbage"]
    answer.find_element("css selector", "summary").click()
    command = browser.find_element("id", "curl").text
    assert command.startswith("curl -d '") and "it'\\''s said" in command
    assert f"'http://{served.rest}/v1/models/names:predict'" in command


@pytest.mark.slow
def test_spans_are_marked_in_the_order_of_the_text(browser, served):
    answer = ask(browser, served, "spans", text="Ä one two")
    marks = [mark.text for mark in answer.find_elements("css selector", "mark")]
    assert [mark.replace("\n", "") for mark in marks] == ["onea", "twob"]


@pytest.mark.slow
def test_each_mask_has_its_words_with_bars(browser, served):
    answer = ask(browser, served, "words", text="The [MASK] [MASK].")
    rows = [row.text.split("\n") for row in answer.find_elements("css selector", ".row")]
    assert rows == [["cat", "0.700"], ["dog", "0.200"], ["ran", "0.600"], ["sat", "0.300"]]
    notes = [note.text for note in answer.find_elements("css selector", ".note")]
    assert notes[:2] == ["[MASK] 1", "[MASK] 2"]


@pytest.mark.slow
def test_an_error_is_shown_as_text_and_nothing_fails_in_the_browser(browser, served):
    answer = ask(browser, served, "refusing", text="anything")
    assert "<b>refused</b>" in answer.find_element("css selector", ".error").text
    errors = [entry for entry in browser.get_log("browser") if "400" not in entry["message"]]
    assert [entry["message"] for entry in errors if "favicon" not in entry["message"]] == []


@pytest.mark.slow
def test_the_picture_of_an_answer(browser, served, repository, tmp_path):
    del browser  # skips where there is none
    script = repository / "tests" / "serving" / "page_screenshot.py"
    flags = [f"--url=http://{served.rest}/", f"--output={tmp_path / 'page.png'}"]

    def picture(*more):
        command = [sys.executable, script, *flags, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    result = picture("--model=names", "--text=. Ada Lovelace met Babbage")
    assert result.returncode == 0, result.stderr
    picture_bytes = (tmp_path / "page.png").read_bytes()
    assert picture_bytes.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture_bytes[16:24])
    assert width == 2 * 800 and height > 2 * 300
    result = picture("--model=refusing", "--text=a")
    assert result.returncode == 1 and "The server refused: " in result.stderr


def test_the_page_tells_what_the_models_take(served):
    url = f"http://{served.rest}"
    models = json.load(urllib.request.urlopen(f"{url}/page/models"))["models"]
    assert models[0] == {
        "name": "a_topics",
        "version": 1,
        "signature": "serving_default",
        "task": "classification",
        "labels": ["a", "<i>b</i>", "c"],
        "inputs": ["text"],
    }
    assert [model["inputs"] for model in models[1:]] == [
        ["text"],
        ["question", "context"],
        *[["text"]] * 5,
    ]
    signatures = [(model["signature"], model["task"]) for model in models[-2:]]
    assert signatures == [("kinds", "classification"), ("more", "x")]
    page = urllib.request.urlopen(f"{url}/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert b"http://" not in page.read().replace(b"http://www.w3.org", b"")


def test_the_page_is_off_unless_asked_for(server):
    for path in ("/", "/page/models"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{server.rest}{path}")
