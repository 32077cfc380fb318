#!/usr/bin/env python3
"""gRPC with the stubs of `pip install tensorflow-serving-api`: client.py [HOST:PORT] [MODEL]."""

import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

server = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8500"
model = sys.argv[2] if len(sys.argv) > 2 else "topics"
texts = ["How do I set a timeout?", "Where are the docs?"]

request = predict_pb2.PredictRequest()
request.model_spec.name = model
request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts))
with grpc.insecure_channel(server) as channel:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    response = stub.Predict(request, timeout=10, wait_for_ready=True)

labels = tf.make_ndarray(response.outputs["label"])
scores = tf.make_ndarray(response.outputs["scores"])
print(f"{model}, version {response.model_spec.version.value}")
for text, label, row in zip(texts, labels, scores, strict=True):
    print(f"{max(row):.3f}  {label.decode()}  {text}")
