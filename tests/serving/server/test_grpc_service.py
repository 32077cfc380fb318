"""TF Serving's contract, row by row, through the public stubs.

Against bin/serve.py, or against a real TF Serving when TFS_ADDRESS is set (contract_models.py says
how to start one).
"""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(name="half_plus_two", *, outputs=(), signature="", **inputs):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def half(*values):
    return np.array(values, np.float32)


def failure(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=10)
    return caught.value.code(), caught.value.details()


def test_predict_answers_and_echoes_the_model_spec(stub):
    response = stub.Predict(predict_request(x=half(1.0, 2.0)), timeout=10)
    assert response.model_spec.name == "half_plus_two"
    assert response.model_spec.version.value == 2  # the newest
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["y"].float_val) == [3.5, 4.0]


def test_a_version_and_its_label_choose_the_same_model(stub):
    request = predict_request(x=half(1.0))
    request.model_spec.version.value = 1
    assert list(stub.Predict(request, timeout=10).outputs["y"].float_val) == [2.5]
    request.model_spec.version_label = "stable"
    response = stub.Predict(request, timeout=10)
    assert list(response.outputs["y"].float_val) == [2.5]
    assert response.model_spec.version.value == 1


def test_output_filter_chooses_outputs(stub):
    request = predict_request("echo", outputs=["length"], text=["abc"])
    assert set(stub.Predict(request, timeout=10).outputs) == {"length"}


def test_no_model_spec(stub):
    assert failure(stub.Predict, predict_pb2.PredictRequest()) == (INVALID, "Missing ModelSpec")


def test_empty_model_name(stub):
    expected = (INVALID, "ModelSpec has no name specified.")
    assert failure(stub.Predict, predict_request("", x=half(1.0))) == expected


def test_unknown_model(stub):
    expected = (NOT_FOUND, "Servable not found for request: Latest(nobody)")
    assert failure(stub.Predict, predict_request("nobody", x=half(1.0))) == expected


def test_unknown_version(stub):
    request = predict_request(x=half(1.0))
    request.model_spec.version.value = 7
    expected = (NOT_FOUND, "Servable not found for request: Specific(half_plus_two, 7)")
    assert failure(stub.Predict, request) == expected


def test_unknown_label(stub):
    request = predict_request(x=half(1.0))
    request.model_spec.version_label = "nightly"
    expected = (INVALID, "Unrecognized servable version label: nightly")
    assert failure(stub.Predict, request) == expected


def test_unknown_signature(stub):
    request = predict_request(signature="nothing", x=half(1.0))
    expected = (
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "nothing" not found.',
    )
    assert failure(stub.Predict, request) == expected


@pytest.mark.parametrize("call, kind", [("Classify", "classification"), ("Regress", "regression")])
def test_unknown_signature_of_an_example_api(stub, call, kind):
    request = example_request(kind, "nothing", 2.0)
    expected = (INVALID, "No signature was found with the name: nothing")
    assert failure(getattr(stub, call), request) == expected


def test_missing_input(stub):
    expected = (
        "input size does not match signature: 0!=1 len({}) != len({text}). Sent extra: {}. "
        "Missing but required: {text}."
    )
    assert failure(stub.Predict, predict_request("echo")) == (INVALID, expected)


def test_extra_input(stub):
    code, message = failure(stub.Predict, predict_request("echo", text=["a"], other=["b"]))
    assert code == INVALID
    assert "2!=1" in message
    assert "Sent extra: {other}. Missing but required: {}." in message


def test_wrong_input_name(stub):
    code, message = failure(stub.Predict, predict_request("echo", words=["a"]))
    assert code == INVALID
    assert message.startswith("Signature input alias: text(feed name: serving_default_text:0) ")
    assert "not found in request and no default value provided" in message


def test_unknown_output_in_the_filter(stub):
    code, message = failure(stub.Predict, predict_request("echo", outputs=["z"], text=["a"]))
    assert code == INVALID
    assert message.startswith("output tensor alias not found in signature: z")


def test_duplicate_output_in_the_filter(stub):
    request = predict_request("echo", outputs=["length", "length"], text=["a"])
    assert failure(stub.Predict, request) == (INVALID, "duplicate output tensor alias: length")


def test_wrong_dtype(stub):
    code, message = failure(stub.Predict, predict_request("echo", text=[1]))
    assert code == INVALID
    assert "Expects arg[0] to be string but int32 is provided" in message


@pytest.mark.parametrize("text", ["a scalar", [["rank", "two"]]])
def test_wrong_rank_gets_an_error_and_the_server_lives(stub, text):
    code, _ = failure(stub.Predict, predict_request("echo", text=text))
    assert code == INVALID
    test_predict_answers_and_echoes_the_model_spec(stub)


def test_an_error_in_the_graph_reaches_the_client(stub):
    code, message = failure(stub.Predict, predict_request("echo", text=["fine", "fail"]))
    assert code == INVALID
    assert "must not be `fail`" in message


def test_an_empty_batch_has_an_empty_answer(stub):
    response = stub.Predict(predict_request("echo", text=np.array([], object)), timeout=10)
    assert tf.make_ndarray(response.outputs["length"]).shape == (0,)


def example_request(kind, signature, *values):
    request = {
        "classification": classification_pb2.ClassificationRequest,
        "regression": regression_pb2.RegressionRequest,
    }[kind]()
    request.model_spec.name, request.model_spec.signature_name = "half_plus_two", signature
    for value in values:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(value)
    return request


def test_classify(stub):
    response = stub.Classify(example_request("classification", "classify_x_to_y", 2.0), timeout=10)
    (result,) = response.result.classifications
    assert [entry.score for entry in result.classes] == [4.0]
    assert response.model_spec.signature_name == "classify_x_to_y"
    assert response.model_spec.version.value == 2


def test_regress(stub):
    response = stub.Regress(example_request("regression", "regress_x_to_y", 2.0, 4.0), timeout=10)
    assert [entry.value for entry in response.result.regressions] == [4.0, 5.0]


def test_a_context_is_merged_into_every_example(stub):
    request = example_request("regression", "regress_x_to_y")
    both = request.input.example_list_with_context
    both.context.features.feature["x"].float_list.value.append(2.0)
    both.examples.add()
    response = stub.Regress(request, timeout=10)
    assert [entry.value for entry in response.result.regressions] == [4.0]


@pytest.mark.parametrize("call, kind", [("Classify", "classification"), ("Regress", "regression")])
def test_no_examples(stub, call, kind):
    request = example_request(kind, f"{call.lower()}_x_to_y")
    assert failure(getattr(stub, call), request) == (INVALID, "Input is empty.")


def test_classify_with_a_signature_that_has_other_inputs(stub):
    code, message = failure(stub.Classify, example_request("classification", "", 1.0))
    assert code == INVALID
    assert message.startswith("No classification inputs found in SignatureDef")


def test_multi_inference(stub):
    request = inference_pb2.MultiInferenceRequest()
    for method in ("regress", "classify"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = "half_plus_two"
        task.model_spec.signature_name = f"{method}_x_to_y"
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(2.0)
    first, second = stub.MultiInference(request, timeout=10).results
    assert first.regression_result.regressions[0].value == 4.0
    assert second.classification_result.classifications[0].classes[0].score == 4.0
    request.tasks[1].CopyFrom(request.tasks[0])
    expected = (INVALID, "Duplicate evaluation of signature: regress_x_to_y")
    assert failure(stub.MultiInference, request) == expected


def test_get_model_metadata(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "echo"
    response = stub.GetModelMetadata(request, timeout=10)
    assert (response.model_spec.name, response.model_spec.version.value) == ("echo", 7)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    inputs = signatures.signature_def["serving_default"].inputs
    assert inputs["text"].dtype == tf.string.as_datatype_enum


def test_metadata_fields_are_checked(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "echo"
    code, message = failure(stub.GetModelMetadata, request)
    assert (code, "must specify at least one metadata_field" in message) == (INVALID, True)
    request.metadata_field.append("weights")
    expected = (INVALID, "Metadata field weights is not supported")
    assert failure(stub.GetModelMetadata, request) == expected


def test_status_of_versions(models):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half_plus_two"
    statuses = models.GetModelStatus(request, timeout=10).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert {s.version: (s.state, s.status.error_code) for s in statuses} == {
        1: (available, 0),
        2: (available, 0),
    }
    request.model_spec.version.value = 2
    assert len(models.GetModelStatus(request, timeout=10).model_version_status) == 1


def test_status_of_what_is_unknown(models):
    request = get_model_status_pb2.GetModelStatusRequest()
    assert failure(models.GetModelStatus, request) == (INVALID, "Missing ModelSpec")
    request.model_spec.name = "x"
    expected = (NOT_FOUND, "Could not find any versions of model x")
    assert failure(models.GetModelStatus, request) == expected
    request.model_spec.name = "echo"
    request.model_spec.version.value = 1
    expected = (NOT_FOUND, "Could not find version 1 of model echo")
    assert failure(models.GetModelStatus, request) == expected


def test_reload_needs_a_list_of_models(models):
    code, message = failure(
        models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()
    )
    assert code == INVALID
    assert "Only ModelConfigList is currently supported" in message


def test_health(channel, server):
    if server.process is None:
        pytest.skip("TF Serving has its health service behind a flag")
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", "tensorflow.serving.PredictionService"):
        response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection(channel, server):
    if server.process is None:
        pytest.skip("TF Serving has no reflection")
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "tensorflow.serving.PredictionService" in services
    assert "tensorflow.serving.ModelService" in services
