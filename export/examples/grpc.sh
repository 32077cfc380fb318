#!/bin/sh
# gRPC with grpcurl: ./grpc.sh [HOST:PORT] [MODEL]
# bin/serve.py tells grpcurl its services by reflection. TF Serving does not: give grpcurl the .proto
# files of github.com/tensorflow/serving and github.com/tensorflow/tensorflow then, by
#   grpcurl -import-path serving -import-path tensorflow \
#     -proto tensorflow_serving/apis/prediction_service.proto ...
set -eu
server="${1:-127.0.0.1:8500}"
model="${2:-topics}"
text="$(printf 'How do I set a timeout?' | base64)"

grpcurl -plaintext -d "{
  \"model_spec\": {\"name\": \"$model\", \"signature_name\": \"serving_default\"},
  \"inputs\": {\"text\": {
    \"dtype\": \"DT_STRING\",
    \"tensor_shape\": {\"dim\": [{\"size\": 1}]},
    \"string_val\": [\"$text\"]
  }}
}" "$server" tensorflow.serving.PredictionService/Predict
