"""Malformed gRPC requests, and odd ones that are right; see malformed_requests.py.

Each function sends one request and returns (name of the status, the names it may have).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, predict_pb2

_SERVICE = "/tensorflow.serving.PredictionService/"
_NO_VALUES = [20, 21, 8, 11, 0, 99]  # resource, variant, complex64, qint8, none, unknown


# Predict: tensors


def predict_request(values=None, *, model="echo", alias="text", dtype=None, shape=None):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    if values is not None:
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(values, dtype=dtype, shape=shape))
    return request


def wrong_rank(numbers, target):
    shape = numbers.choice([[], [1, 1], [1, 1, 1], [1] * numbers.randrange(4, 8)])
    return target.call(predict_request("a", shape=shape))[0], {"INVALID_ARGUMENT"}


def wrong_dtype(numbers, target):
    dtype = numbers.choice([tf.float32, tf.int32, tf.int64, tf.bool, tf.bfloat16, tf.uint8])
    return target.call(predict_request(np.ones(1, dtype.as_numpy_dtype)))[0], {"INVALID_ARGUMENT"}


def dtype_without_values(numbers, target):
    request = predict_request(["a"])
    request.inputs["text"].dtype = numbers.choice(_NO_VALUES)
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def missing_input(numbers, target):
    return target.call(predict_request(model=numbers.choice(["echo", "half_plus_two"])))[0], {
        "INVALID_ARGUMENT"
    }


def extra_input(numbers, target):
    request = predict_request(["a"])
    for index in range(numbers.randrange(1, 30)):
        request.inputs[f"extra{index}"].CopyFrom(tf.make_tensor_proto([1.0]))
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def wrong_input_name(numbers, target):
    alias = numbers.choice(["", "Text", "text ", "\u00e9" * numbers.randrange(1, 3000), "\0"])
    return target.call(predict_request(["a"], alias=alias))[0], {"INVALID_ARGUMENT"}


def shape_claims_more_than_there_is(numbers, target):
    sizes = [1 << 17, 10**9, 1 << 31, 1 << 40, (1 << 63) - 1]
    request = predict_request(["a"] if numbers.random() < 0.5 else [1.0], model="echo")
    tensor = request.inputs["text"]
    del tensor.tensor_shape.dim[:]
    for _ in range(numbers.randrange(1, 6)):
        tensor.tensor_shape.dim.add().size = numbers.choice(sizes)
    if numbers.random() < 0.3:
        tensor.tensor_content = numbers.randbytes(8)
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def shape_that_is_none(numbers, target):
    request = predict_request(["a"])
    shape = request.inputs["text"].tensor_shape
    if numbers.random() < 0.3:
        shape.unknown_rank = True
    elif numbers.random() < 0.5:
        shape.dim[0].size = -numbers.randrange(1, 1 << 62)
    else:
        for _ in range(numbers.randrange(260, 2000)):
            shape.dim.add().size = 1
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def content_of_another_length(numbers, target):
    request = predict_request([1.0, 2.0], model="half_plus_two", alias="x")
    tensor = request.inputs["x"]
    tensor.ClearField("float_val")
    length = numbers.choice([1, 3, 7, 9, 4000])
    tensor.tensor_content = numbers.randbytes(length)
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def strings_as_content(numbers, target):
    request = predict_request(["a"])
    tensor = request.inputs["text"]
    tensor.ClearField("string_val")
    tensor.tensor_content = numbers.randbytes(numbers.randrange(1, 40))
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def too_many_values(numbers, target):
    request = predict_request(["a"])
    request.inputs["text"].string_val.extend([b"b"] * numbers.randrange(1, 400))
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def too_many_rows(numbers, target):
    rows = numbers.randrange(257, 60_000)
    if numbers.random() < 0.5:
        return target.call(predict_request([b""] * rows))[0], {"RESOURCE_EXHAUSTED"}
    # One value that stands for all of them.
    return target.call(predict_request("a", shape=[rows]))[0], {"RESOURCE_EXHAUSTED"}


def refused_by_the_graph(numbers, target):
    texts = ["fine"] * numbers.randrange(0, 5) + ["fail"]
    return target.call(predict_request(texts))[0], {"INVALID_ARGUMENT"}


def examples_that_are_none_as_tensor(numbers, target):
    request = predict_request([numbers.randbytes(numbers.randrange(1, 200))], alias="inputs")
    request.model_spec.name = "half_plus_two"
    request.model_spec.signature_name = "regress_x_to_y"
    return target.call(request)[0], {"INVALID_ARGUMENT"}


# Predict: names


def unknown_model(numbers, target):
    model = numbers.choice(["nobody", "x" * 5000, "Echo", "../echo", "\u6f22"])
    return target.call(predict_request(["a"], model=model))[0], {"NOT_FOUND"}


def no_model(numbers, target):
    request = predict_request(["a"], model="")
    if numbers.random() < 0.5:
        request.ClearField("model_spec")
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def unknown_version(numbers, target):
    request = predict_request(["a"])
    request.model_spec.version.value = numbers.choice([-1, 0, 8, (1 << 63) - 1, -(1 << 63)])
    return target.call(request)[0], {"NOT_FOUND"}


def unknown_label(numbers, target):
    request = predict_request(["a"])
    request.model_spec.version_label = "l" * numbers.randrange(1, 2000)
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def unknown_signature(numbers, target):
    request = predict_request(["a"])
    request.model_spec.signature_name = numbers.choice(["s", "__saved_model_init_op", "z" * 9999])
    return target.call(request)[0], {"FAILED_PRECONDITION"}


def bad_output_filter(numbers, target):
    request = predict_request(["a"])
    request.output_filter.extend(numbers.choice([["nothing"], ["text", "text"], [""] * 500]))
    return target.call(request)[0], {"INVALID_ARGUMENT"}


def unknown_method(numbers, target):
    method = numbers.choice(["/a/b", _SERVICE + "Predicted", "/tensorflow.serving.Session/Run"])
    return target.call(b"", method)[0], {"UNIMPLEMENTED"}


# Other calls


def examples_that_do_not_fit(numbers, target):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "half_plus_two"
    request.model_spec.signature_name = "classify_x_to_y"
    for _ in range(numbers.randrange(0, 4)):
        features = request.input.example_list.examples.add().features
        if numbers.random() < 0.5:
            features.feature["x"].bytes_list.value.append(numbers.randbytes(5))
        else:
            features.feature["\u00e9\0"].float_list.value.append(1.0)
    return target.call(request, _SERVICE + "Classify")[0], {"INVALID_ARGUMENT"}


def random_message(numbers, target):
    method = numbers.choice(["Predict", "Classify", "Regress", "MultiInference"])
    data = numbers.randbytes(numbers.randrange(1, 400))
    # INTERNAL is what gRPC says of bytes that are no message.
    return target.call(data, _SERVICE + method)[0], {"INTERNAL", "INVALID_ARGUMENT"}


def cut_message(numbers, target):
    data = predict_request(["some text", "some other text"]).SerializeToString()
    return target.call(data[: numbers.randrange(1, len(data))])[0], {"INTERNAL", "INVALID_ARGUMENT"}


def odd_strings(numbers, target):
    texts = [
        numbers.choice(
            [
                b"",
                b"\0" * numbers.randrange(1, 100),
                numbers.randbytes(numbers.randrange(1, 3000)),
                b"\xff\xfe\xed\xa0\x80",
                b"a" * numbers.randrange(1, 100_000),
                "\u202e\ufeff\U0001f600".encode() * 50,
            ]
        )
        for _ in range(numbers.randrange(1, 5))
    ]
    status, answer = target.call(predict_request(texts))
    if status == "OK":
        outputs = predict_pb2.PredictResponse.FromString(answer).outputs
        assert list(outputs["text"].string_val) == texts
        assert list(outputs["length"].int_val) == list(map(len, texts))
    return status, {"OK"}


def no_rows(numbers, target):
    return target.call(predict_request(np.zeros([0], object), dtype=tf.string))[0], {"OK"}


def message_beyond_the_limit(numbers, target):
    text = b"a" * ((16 << 20) + numbers.randrange(1000))
    return target.call(predict_request([text]))[0], {"RESOURCE_EXHAUSTED"}


def huge_string(numbers, target):
    length = numbers.randrange(4 << 20, 15 << 20)
    status, answer = target.call(predict_request([b"a" * length]))
    if status == "OK":
        outputs = predict_pb2.PredictResponse.FromString(answer).outputs
        assert list(outputs["length"].int_val) == [length]
    return status, {"OK"}


KINDS = [
    wrong_rank,
    wrong_dtype,
    dtype_without_values,
    missing_input,
    extra_input,
    wrong_input_name,
    shape_claims_more_than_there_is,
    shape_that_is_none,
    content_of_another_length,
    strings_as_content,
    too_many_values,
    too_many_rows,
    refused_by_the_graph,
    examples_that_are_none_as_tensor,
    unknown_model,
    no_model,
    unknown_version,
    unknown_label,
    unknown_signature,
    bad_output_filter,
    unknown_method,
    examples_that_do_not_fit,
    random_message,
    cut_message,
    odd_strings,
    no_rows,
]
COSTLY = [
    message_beyond_the_limit,
    huge_string,
]
