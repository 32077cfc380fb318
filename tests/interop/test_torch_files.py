"""Files that torch itself has written, in both layouts, read without it."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from keras_bert_suite.checkpoints.torch_file import TorchFile

pytestmark = pytest.mark.interop

_SAVE = """
import sys
from collections import OrderedDict
import numpy as np
import torch
folder = sys.argv[1]
torch.manual_seed(0)
whole = torch.randn(6, 4)
tensors = OrderedDict(
    single=whole, double=whole.double(), half=whole.half(), bfloat=whole.bfloat16(),
    transposed=whole.T, part=whole[2:4, 1:3], scalar=torch.tensor(2.5), empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(torch.randn(3)),
)
model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
tensors.update(model.state_dict())
np.savez(f"{folder}/expected.npz", **{k: v.detach().float().numpy() for k, v in tensors.items()})
torch.save(tensors, f"{folder}/zip.bin")
torch.save(tensors, f"{folder}/legacy.bin", _use_new_zipfile_serialization=False)
torch.save(tensors, f"{folder}/protocol4.bin", pickle_protocol=4)
torch.save(model.state_dict(), f"{folder}/metadata.bin")
torch.save(model, f"{folder}/module.bin")
"""


@pytest.fixture(scope="module")
def folder(interop_python, tmp_path_factory):
    """What _SAVE writes."""
    folder = tmp_path_factory.mktemp("torch")
    command = [interop_python, "-c", _SAVE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ["zip.bin", "legacy.bin", "protocol4.bin"])
def test_every_kind_of_tensor(folder, name):
    expected = np.load(folder / "expected.npz")
    with TorchFile(folder / name) as file:
        assert file.names == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(np.float32(file.read(key)), value)


def test_the_state_of_a_module(folder):
    with TorchFile(folder / "metadata.bin") as file:
        assert file.names == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_a_whole_module_is_refused(folder):
    with pytest.raises(ValueError, match="'torch.nn.modules.container.Sequential'.*refused"):
        TorchFile(folder / "module.bin")
