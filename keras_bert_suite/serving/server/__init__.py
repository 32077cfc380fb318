"""An embedded server with TensorFlow Serving's gRPC and REST contract."""
