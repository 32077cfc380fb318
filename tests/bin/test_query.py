"""bin/query.py: what it prints, and its errors in one line."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from keras_bert_suite.serving.query_inputs import line_inputs


@pytest.fixture
def rest_server():
    """(HOST:PORT, the requests it got); answers with two rows, or 404 for the model `nobody`."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append((self.path, body))
            known = "nobody" not in self.path
            answer = {"outputs": {"label": ["yes", "no"], "scores": [[0.75], [0.5]]}}
            if not known:
                answer = {"error": "Servable not found for request: Latest(nobody)"}
            text = json.dumps(answer).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", requests
        server.shutdown()


@pytest.fixture
def query(repository):
    def call(*flags, stdin=b""):
        return subprocess.run(
            [sys.executable, "bin/query.py", *flags],
            cwd=repository,
            capture_output=True,
            text=True,
            input=stdin.decode(),
            timeout=60,
        )

    return call


def test_texts_become_lines_of_json(query, rest_server):
    address, requests = rest_server
    result = query(f"--server={address}", "--rest", "--model_name=m", "--text=a", "--text=b, c")
    assert result.returncode == 0, result.stderr
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"label": "yes", "scores": [0.75]},
        {"label": "no", "scores": [0.5]},
    ]
    body = {"signature_name": "serving_default", "inputs": {"text": ["a", "b, c"]}}
    assert requests == [("/v1/models/m:predict", body)]


def test_pairs_versions_labels_and_any_inputs(query, rest_server):
    address, requests = rest_server
    common = (f"--server={address}", "--rest")
    query(*common, "--text_a=a", "--text_b=b", "--version=3")
    query(*common, "--text=a", "--text=b", "--task=topics")
    query(*common, '--inputs={"ids": [[1]]}', "--signature=tokens", "--version_label=best")
    assert requests == [
        (
            "/v1/models/default/versions/3:predict",
            {"signature_name": "serving_default", "inputs": {"text_a": ["a"], "text_b": ["b"]}},
        ),
        (
            "/v1/models/default:predict",
            {
                "signature_name": "mixed",
                "inputs": {"text": ["a", "b"], "task": ["topics", "topics"]},
            },
        ),
        (
            "/v1/models/default/labels/best:predict",
            {"signature_name": "tokens", "inputs": {"ids": [[1]]}},
        ),
    ]


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "Ask with one of --text, --text_a with --text_b, --question with"),
        (["--text=a", "--text_a=b", "--text_b=c"], "Ask with one of"),
        (["--text=a", "--input=-"], "Ask with one of"),
        (["--question=a"], "must be given equally often. Received: 1 and 0."),
        (["--input=-", "--task=a", "--task=b"], "is one for all lines"),
        (["--input=/nowhere.jsonl"], "No such file or directory: /nowhere.jsonl"),
        (["--text=a", "--server=http://127.0.0.1:8501"], "--server must be HOST:PORT"),
        (["--text_a=b"], "must be given equally often. Received: 1 and 0."),
        (["--text=a"] * 3 + ["--task=b"] * 2, "as often as the texts: 3. Received: 2."),
        (["--inputs={}", "--task=b"], "--task goes with texts; --inputs has all inputs"),
        (["--inputs={"], "--inputs must be JSON"),
        (["--inputs=[1]"], "--inputs must be a JSON object of lists"),
        (["--text=a", "--server=here"], "--server must be HOST:PORT. Received: 'here'"),
        (["--text=a", "--server=127.0.0.1:1", "--timeout=0.3"], "Cannot reach 127.0.0.1:1"),
    ],
)
def test_errors(query, flags, message):
    result = query("--rest", *flags)
    assert result.returncode == 1
    assert message in result.stderr.strip().splitlines()[-1]
    assert result.stdout == ""


def test_lines_of_a_file_and_of_stdin(query, rest_server, tmp_path):
    address, requests = rest_server
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "a"}\n\n{"text": "\u00e4"}\n', encoding="utf-8")
    result = query(f"--server={address}", "--rest", f"--input={file}", "--task=topics")
    assert [json.loads(line)["label"] for line in result.stdout.splitlines()] == ["yes", "no"]
    assert requests[0][1] == {
        "signature_name": "mixed",
        "inputs": {"text": ["a", "\u00e4"], "task": ["topics", "topics"]},
    }
    lines = b'{"text": "a"}\n{"text": "b"}\n'
    assert query(f"--server={address}", "--rest", "--input=-", stdin=lines).returncode == 0
    assert requests[1][1]["inputs"] == {"text": ["a", "b"]}


def test_one_context_is_that_of_all_questions(query, rest_server):
    address, requests = rest_server
    asked = ["--question=a", "--question=b", "--context=c"]
    assert query(f"--server={address}", "--rest", *asked).returncode == 0
    assert requests[0][1]["inputs"] == {"question": ["a", "b"], "context": ["c", "c"]}


@pytest.mark.parametrize(
    "lines, message",
    [
        (b"{\n", "stdin, line 1: not JSON: "),
        (b'\n["a"]\n', "stdin, line 2: a line must hold a JSON object."),
        (b'{"text": "\xff"}', "stdin, line 1: byte 0xff is not UTF-8."),
        (b"{}", "stdin, line 1: every line must have the same inputs, at least one. Received: []"),
        (
            b'{"text": "a"}\n{"txt": "a"}\n',
            "stdin, line 2: every line must have the same inputs, at least one. "
            "Received: ['txt'], before: ['text']",
        ),
    ],
)
def test_bad_lines(lines, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        list(line_inputs(io.BytesIO(lines), source="stdin", task=(), rows=128))


def test_many_lines_are_read_in_parts():
    lines = io.BytesIO(b'{"text": "a"}\n' * 5)
    parts = line_inputs(lines, source="stdin", task=(), rows=2)
    assert [len(part["text"]) for part in parts] == [2, 2, 1]


def test_what_the_server_says_is_shown(query, rest_server):
    address, _ = rest_server
    result = query(f"--server={address}", "--rest", "--model_name=nobody", "--text=a")
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1] == (
        f"error: {address}: NOT_FOUND: Servable not found for request: Latest(nobody)"
    )
