"""TF Serving's inference calls on one servable: request proto in, response proto out.

The transports (gRPC, REST) and the warm-up at load share these functions. Statuses and messages
follow tensorflow/serving: servables/tensorflow/{predict_util,classifier,regressor}.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from keras_bert_suite.serving.server import tensors
from keras_bert_suite.serving.server.errors import (
    ServingError,
    failed_precondition,
    invalid_argument,
)
from keras_bert_suite.serving.server.servable import Servable, Signature

DEFAULT_SIGNATURE = "serving_default"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
_METHODS = {"classification": CLASSIFY_METHOD, "regression": REGRESS_METHOD}
_EXAMPLES = "inputs"


def predict(
    servable: Servable, request, *, as_content: bool = False
) -> predict_pb2.PredictResponse:
    """Answers a PredictRequest; `output_filter` chooses among the signature's outputs.

    Args:
      servable, request: whom to ask, and what.
      as_content: answer with numbers as bytes, see `tensors.to_proto`.

    Raises:
      ServingError: the request does not fit the signature.
      tf.errors.OpError: the graph refuses the input.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    _check_inputs(signature, sent=request.inputs)
    outputs = _filtered(signature, request.output_filter)
    inputs = {
        alias: tensors.from_proto(request.inputs[alias], alias=alias) for alias in signature.inputs
    }
    arrays = servable.run(signature, inputs, outputs)
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, servable=servable, signature_name=name)
    for alias, array in arrays.items():
        tensors.to_proto(array, response.outputs[alias], as_content=as_content)
    return response


def classify(servable: Servable, request) -> classification_pb2.ClassificationResponse:
    """Answers a ClassificationRequest from a signature `inputs` -> `classes` and/or `scores`.

    Raises: as `predict`.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    response = classification_pb2.ClassificationResponse()
    _fill_spec(response.model_spec, servable=servable, signature_name=name)
    _classify_into(response.result, servable, name, _examples(request.input))
    return response


def regress(servable: Servable, request) -> regression_pb2.RegressionResponse:
    """Answers a RegressionRequest from a signature `inputs` -> `outputs` [B] or [B, 1].

    Raises: as `predict`.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    response = regression_pb2.RegressionResponse()
    _fill_spec(response.model_spec, servable=servable, signature_name=name)
    _regress_into(response.result, servable, name, _examples(request.input))
    return response


def multi_inference(servable: Servable, request) -> inference_pb2.MultiInferenceResponse:
    """Answers several classification and regression tasks about the same examples.

    Raises: as `predict`.
    """
    examples = _examples(request.input)
    response = inference_pb2.MultiInferenceResponse()
    names = [task.model_spec.signature_name or DEFAULT_SIGNATURE for task in request.tasks]
    for index, (task, name) in enumerate(zip(request.tasks, names, strict=True)):
        if name in names[:index]:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        result = response.results.add()
        _fill_spec(result.model_spec, servable=servable, signature_name=name)
        if task.method_name == CLASSIFY_METHOD:
            _classify_into(result.classification_result, servable, name, examples)
        elif task.method_name == REGRESS_METHOD:
            _regress_into(result.regression_result, servable, name, examples)
        else:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"Unsupported signature method_name: {task.method_name}",
            )
    return response


def get_model_metadata(servable: Servable, request):
    """The signatures of a model, for the only metadata field there is, `signature_def`.

    Raises:
      ServingError: no field, or another one.
    """
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid_argument(f"Metadata field {field} is not supported")
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in servable.signature_defs.items():
        signatures.signature_def[name].CopyFrom(definition)
    response.metadata["signature_def"].Pack(signatures)
    return response


def _fill_spec(spec, *, servable: Servable, signature_name: str) -> None:
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature_name


def _check_inputs(signature: Signature, *, sent) -> None:
    wanted, got = set(signature.inputs), set(sent)
    if len(wanted) != len(got):
        raise invalid_argument(
            f"input size does not match signature: {len(got)}!={len(wanted)} "
            f"len({_braces(got)}) != len({_braces(wanted)}). Sent extra: {_braces(got - wanted)}. "
            f"Missing but required: {_braces(wanted - got)}."
        )
    for alias, port in signature.inputs.items():
        if alias not in got:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {port.tensor}) not found in request "
                "and no default value provided. Inputs expected to be in the set "
                f"{_braces(wanted)}."
            )


def _filtered(signature: Signature, output_filter: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in "
                f"the set {_braces(signature.outputs)}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(seen or signature.outputs)


def _examples(inputs) -> np.ndarray:
    """Serialized tf.Examples, object [B]; a context is merged into each of them."""
    kind = inputs.WhichOneof("kind")
    examples = getattr(inputs, kind).examples if kind else ()
    if not examples:
        raise invalid_argument("Input is empty.")
    # Concatenated messages parse as their merge: what TF Serving does with a context.
    context = b""
    if kind == "example_list_with_context":
        context = inputs.example_list_with_context.context.SerializeToString()
    array = np.empty(len(examples), object)
    array[:] = [context + example.SerializeToString() for example in examples]
    return array


def _run_on_examples(
    servable: Servable, name: str, examples: np.ndarray, *, outputs: Sequence[str], what: str
) -> dict[str, np.ndarray]:
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid_argument(f"No signature was found with the name: {name}")
    method, found = _METHODS[what], servable.signature_defs[name].method_name
    if servable.session_options.check_method_names and found != method:
        raise invalid_argument(
            f"Expected {what} signature method_name to be {method}. Was: {found}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if _EXAMPLES not in signature.inputs:
        raise invalid_argument(
            f"No {what} inputs found in SignatureDef: it has {_braces(signature.inputs)}"
        )
    present = [alias for alias in outputs if alias in signature.outputs]
    if not present or set(signature.outputs) - set(outputs):
        raise invalid_argument(
            f"Expected {what} signature outputs to contain at least one of {_braces(outputs)} and "
            f"nothing else. Signature has: {_braces(signature.outputs)}"
        )
    return servable.run(signature, {_EXAMPLES: examples}, present)


def _classify_into(result, servable: Servable, name: str, examples: np.ndarray) -> None:
    arrays = _run_on_examples(
        servable, name, examples, outputs=("classes", "scores"), what="classification"
    )
    for alias, array in arrays.items():
        if array.ndim != 2 or array.shape[0] != len(examples):
            raise invalid_argument(
                f"Expected {alias} of shape [{len(examples)} num_classes] but got "
                f"{list(array.shape)}"
            )
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1:
        raise invalid_argument("Tensors class and score should match in dim_size(1).")
    rows, columns = shapes.pop()
    for row in range(rows):
        classes = result.classifications.add().classes
        for column in range(columns):
            entry = classes.add()
            if "classes" in arrays:
                entry.label = arrays["classes"][row, column].decode("utf-8", "replace")
            if "scores" in arrays:
                entry.score = arrays["scores"][row, column]


def _regress_into(result, servable: Servable, name: str, examples: np.ndarray) -> None:
    array = _run_on_examples(servable, name, examples, outputs=("outputs",), what="regression")[
        "outputs"
    ]
    if array.shape not in ((len(examples),), (len(examples), 1)):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{list(array.shape)}"
        )
    for value in array.reshape(-1).tolist():
        result.regressions.add().value = value


def _braces(names) -> str:
    return "{" + ",".join(sorted(names)) + "}"
