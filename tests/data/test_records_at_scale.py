"""Memory of making records: what 10 MB take is what more text takes."""

import random
import subprocess
import sys

import pytest
from token_corpora import VOCABULARY, WORDS

_RUN = """
import functools, sys
from keras_bert_suite.data.record_making import make_records
from keras_bert_suite.text.tokenizer import Tokenizer
text, tokenizer, output = sys.argv[1:]
make_records(
    text, make_tokenizer=functools.partial(Tokenizer.from_directory, tokenizer),
    output_dir=output, sentences="lines", deduplicate=True,
)
# Not ru_maxrss: that one starts from the peak of the process that started this one.
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def _write_text(path, megabytes):
    """Documents of 50 lines, no two alike."""
    rng = random.Random(0)
    with open(path, "w") as stream:
        while stream.tell() < megabytes * 1_000_000:
            lines = (" ".join(rng.choices(WORDS, k=25)) for _ in range(50))
            stream.write("\n".join(lines) + "\n\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_text(tmp_path):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    peaks = []
    for megabytes in (4, 40):
        text = tmp_path / f"{megabytes}.txt"
        _write_text(text, megabytes)
        command = [
            sys.executable,
            "-c",
            _RUN,
            text,
            tmp_path / "tokenizer",
            tmp_path / f"{megabytes}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    # 36 MB more of text, with the noise of the allocator.
    assert peaks[1] < peaks[0] + 24, f"{peaks} MB"
