"""TF Serving's JSON to request protos, and response protos to JSON.

Follows tensorflow/serving, util/json_tensor.cc: row format (`instances` -> `predictions`), column
format (`inputs` -> `outputs`), bytes as {"b64": ...}, examples for classify and regress.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from keras_bert_suite.serving.server import tensors
from keras_bert_suite.serving.server.errors import ServingError, invalid_argument
from keras_bert_suite.serving.server.json_tensors import (
    is_base64,
    is_text,
    quoted,
    shortest,
    to_array,
    to_bytes,
    to_values,
)
from keras_bert_suite.serving.server.servable import Port


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request body.

    Raises:
      ServingError: INVALID_ARGUMENT; no JSON, no object, or a signature_name that is no string.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {quoted(document)} Is not object")
    signature_name = document.get("signature_name", "")
    if not isinstance(signature_name, str) or not is_text(signature_name):
        raise invalid_argument(
            f"JSON Value: {quoted(document)} not formatted correctly. 'signature_name' key must "
            "be a string value."
        )
    return document


def fill_predict(document: dict[str, Any], request, *, ports: Mapping[str, Port]) -> bool:
    """Fills the inputs of a PredictRequest.

    Args:
      document: with `instances` or `inputs`.
      request: the PredictRequest.
      ports: the signature's inputs.

    Returns:
      Whether the answer has rows (`instances` was given) or columns.

    Raises:
      ServingError: INVALID_ARGUMENT; the document does not fit the signature.
    """
    rows = "instances" in document
    if rows and "inputs" in document:
        raise invalid_argument(
            f"JSON Value: {quoted(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if not rows and "inputs" not in document:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    columns = _from_rows(document, ports) if rows else _from_columns(document["inputs"], ports)
    for alias, value in columns.items():
        tensors.to_proto(to_array(value, ports[alias], alias=alias), request.inputs[alias])
    return rows


def fill_examples(document: dict[str, Any], request) -> None:
    """Fills the `input` of a ClassificationRequest or RegressionRequest from `examples`.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid_argument(
            f"JSON Value: {quoted(document)} key 'examples' is expected to hold a list with at "
            "least one example"
        )
    target = request.input.example_list
    if "context" in document:
        target = request.input.example_list_with_context
        _fill_example(document["context"], target.context)
    for example in examples:
        _fill_example(example, target.examples.add())


def predictions(response, *, rows: bool) -> bytes:
    """The JSON of a PredictResponse.

    Raises:
      ServingError: INVALID_ARGUMENT; rows were asked for and the outputs' batch sizes differ.
    """
    columns = {
        alias: to_values(tensors.from_proto(proto, alias=alias), as_bytes=alias.endswith("_bytes"))
        for alias, proto in sorted(response.outputs.items())
    }
    single = len(columns) == 1
    if not rows:
        return _dump({"outputs": next(iter(columns.values())) if single else columns})
    sizes = {
        alias: response.outputs[alias].tensor_shape.dim[0].size
        if response.outputs[alias].tensor_shape.dim
        else None
        for alias in columns
    }
    if None in sizes.values() or len(set(sizes.values())) > 1:
        raise invalid_argument(f"Tensors have inconsistent batch sizes: {sizes}")
    if single:
        return _dump({"predictions": next(iter(columns.values()))})
    size = next(iter(sizes.values()))
    return _dump(
        {
            "predictions": [
                {alias: values[row] for alias, values in columns.items()} for row in range(size)
            ]
        }
    )


def classifications(response) -> bytes:
    """The JSON of a ClassificationResponse: per example, pairs of label and score."""
    return _dump(
        {
            "results": [
                [[entry.label, shortest(entry.score)] for entry in result.classes]
                for result in response.result.classifications
            ]
        }
    )


def regressions(response) -> bytes:
    """The JSON of a RegressionResponse: a number per example."""
    return _dump({"results": [shortest(entry.value) for entry in response.result.regressions]})


def status(response) -> bytes:
    """The JSON of a GetModelStatusResponse."""
    message = json_format.MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _dump(message, indent=1)


def metadata(response) -> bytes:
    """The JSON of a GetModelMetadataResponse."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    options = {
        "preserving_proto_field_name": True,
        "always_print_fields_with_no_presence": True,
    }
    return _dump(
        {
            "model_spec": json_format.MessageToDict(response.model_spec, **options),
            "metadata": {"signature_def": json_format.MessageToDict(signatures, **options)},
        },
        indent=1,
    )


def error(failure: ServingError) -> bytes:
    return _dump({"error": failure.message})


def _from_rows(document: dict[str, Any], ports: Mapping[str, Port]) -> dict[str, list]:
    instances = document["instances"]
    if not isinstance(instances, list) or not instances:
        raise invalid_argument(
            f"JSON Value: {quoted(document)} Expecting 'instances' to be an list/array with values"
        )
    named = _is_object(instances[0])
    if not named and len(ports) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    if any(_is_object(item) != named for item in instances):
        raise invalid_argument("Expecting either objects only or values only in 'instances'")
    if not named:
        return {next(iter(ports)): instances}
    for index, item in enumerate(instances):
        if set(item) != set(ports):
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{quoted(item)} keys must be equal to: {','.join(ports)}"
            )
    return {alias: [item[alias] for item in instances] for alias in ports}


def _from_columns(inputs: Any, ports: Mapping[str, Port]) -> dict[str, Any]:
    if not _is_object(inputs):
        if len(ports) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        return {next(iter(ports)): inputs}
    for alias in ports:
        if alias not in inputs:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
    return {alias: inputs[alias] for alias in ports}


def _fill_example(value: Any, example) -> None:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {quoted(value)}")
    for name, content in value.items():
        leaves = content if isinstance(content, list) else [content]
        if not is_text(name):
            raise invalid_argument(f"Feature names must be valid Unicode. Received: {quoted(name)}")
        feature = example.features.feature[name]
        if all(isinstance(leaf, str) or is_base64(leaf) for leaf in leaves):
            feature.bytes_list.value.extend(map(to_bytes, leaves))
        elif all(isinstance(leaf, int) and abs(leaf) < 1 << 63 for leaf in leaves):
            feature.int64_list.value.extend(map(int, leaves))
        elif all(isinstance(leaf, float) for leaf in leaves):
            feature.float_list.value.extend(leaves)
        else:
            raise invalid_argument(
                f"Feature: {name} has elements of unexpected or different JSON types: "
                f"{quoted(content)}"
            )


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _dump(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=indent).encode()
