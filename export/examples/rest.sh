#!/bin/sh
# REST with curl: ./rest.sh [HOST:PORT] [MODEL]
set -eu
server="${1:-127.0.0.1:8501}"
model="${2:-topics}"
url="http://$server/v1/models/$model"

echo "Which versions are there?"
curl -sS "$url"; echo
echo "Rows: one text an instance"
curl -sS "$url:predict" -d '{"instances": ["How do I set a timeout?", "Where are the docs?"]}'; echo
echo "Columns: one list an input"
curl -sS "$url:predict" -d '{"inputs": {"text": ["How do I set a timeout?"]}}'; echo
echo "The Classify API"
curl -sS "$url:classify" \
  -d '{"signature_name": "classify", "examples": [{"text": "How do I set a timeout?"}]}'; echo
