import errno
import os
import resource
import signal

import pytest
import tensorflow as tf

from keras_bert_suite.tensorflow_errors import tensorflow_os_errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "No space left on device"), errno.ENOSPC),
        (tf.errors.UnknownError(None, None, "x; File too large"), errno.EFBIG),
        (tf.errors.NotFoundError(None, None, "x; No such file or directory"), errno.EIO),
    ],
)
def test_the_reason_and_the_path_are_kept(error, code):
    with pytest.raises(OSError) as raised, tensorflow_os_errors("some/place"):
        raise error
    assert (raised.value.errno, raised.value.filename) == (code, os.path.realpath("some/place"))


def test_a_real_limit_is_told_as_python_tells_it(tmp_path):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(OSError) as raised, tensorflow_os_errors(tmp_path):
            tf.io.write_file(os.fspath(tmp_path / "large"), "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert raised.value.errno == errno.EFBIG


def test_other_errors_pass():
    with pytest.raises(ValueError, match="as it was"), tensorflow_os_errors("some/place"):
        raise ValueError("as it was")
