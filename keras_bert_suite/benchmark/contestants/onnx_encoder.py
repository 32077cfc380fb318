"""onnxruntime on the graph that its own optimizer makes of a BERT."""

from __future__ import annotations

import json
import os
import tempfile
import time

import numpy as np

from keras_bert_suite.benchmark.contestants.batches import read_batch, real_outputs

_FUSED = "com.microsoft"


class Contestant:
    """A unit is a real token; the batch is computed as it is padded.

    Options: model_dir, an encoder with the tanh form of GELU; threads, or None.
    """

    def __init__(self, options):
        import onnx
        import onnxruntime

        session = onnxruntime.SessionOptions()
        if options.get("threads"):
            session.intra_op_num_threads = options["threads"]
        with tempfile.TemporaryDirectory() as directory:
            file = os.path.join(directory, "bert.onnx")
            # The weights lie beside the graph: a protobuf holds no more than 2 GB.
            onnx.save_model(bert_graph(options["model_dir"]), file, save_as_external_data=True)
            self._session = onnxruntime.InferenceSession(
                file, session, providers=["CPUExecutionProvider"]
            )

    def run(self, work):
        batch = read_batch(work["batch"])
        times = work.get("times", 1)
        started = time.perf_counter()
        for _ in range(times):
            self._session.run(None, batch)
        seconds = time.perf_counter() - started
        return seconds, times * float(batch["padding_mask"].sum())

    def outputs(self, work):
        batch = read_batch(work["batch"])
        return real_outputs(self._session.run(None, batch)[0], batch["padding_mask"])


class _Graph:
    """Nodes and weights as they come; every node has one output, named by its number."""

    def __init__(self, weights):
        self._weights = weights
        self.nodes, self.initializers = [], []

    def node(self, kind, *inputs, domain="", **attributes):
        from onnx import helper

        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def constant(self, name, values):
        from onnx import numpy_helper

        values = np.ascontiguousarray(values)
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def weight(self, name, *, transposed=False):
        values = self._weights[name]
        return self.constant(name, values.T if transposed else values)

    def dense(self, x, name):
        """x W + b; onnxruntime adds the bias within FastGelu or SkipLayerNormalization."""
        kernel = self.weight(f"{name}.weight", transposed=True)
        return self.node("MatMul", x, kernel), self.weight(f"{name}.bias")

    def normalized_sum(self, x, residual, bias, name, epsilon):
        scale = [self.weight(f"{name}.{part}") for part in ("weight", "bias")]
        return self.node(
            "SkipLayerNormalization", x, residual, *scale, bias, domain=_FUSED, epsilon=epsilon
        )


def bert_graph(model_dir):
    """Returns an onnx model: token_ids, segment_ids, padding_mask int32 [batch, length] ->
    sequence_output [batch, length, hidden].

    The operators are those that onnxruntime.transformers.optimizer puts in the place of an exported
    BERT (Attention, SkipLayerNormalization, FastGelu), so that nobody needs PyTorch to export.

    Source: onnxruntime's docs/ContribOperators.md.
    """
    from onnx import TensorProto, helper
    from safetensors.numpy import load_file

    with open(os.path.join(model_dir, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    weights = load_file(os.path.join(model_dir, "model.safetensors"))
    weights = {name.removeprefix("bert."): values for name, values in weights.items()}
    graph = _Graph(weights)
    tokens = _embeddings(graph, config["layer_norm_eps"])
    for index in range(config["num_hidden_layers"]):
        tokens = _block(graph, tokens, f"encoder.layer.{index}", config)
    shape = ["batch", "length"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT32, shape)
        for name in ("token_ids", "segment_ids", "padding_mask")
    ]
    output = helper.make_tensor_value_info(
        tokens, TensorProto.FLOAT, [*shape, config["hidden_size"]]
    )
    made = helper.make_graph(graph.nodes, "bert", inputs, [output], graph.initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_FUSED, 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


def _embeddings(graph, epsilon):
    words = graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), "token_ids")
    segments = graph.node(
        "Gather", graph.weight("embeddings.token_type_embeddings.weight"), "segment_ids"
    )
    length = graph.node("Shape", "token_ids", start=1, end=2)
    bounds = [graph.constant(name, np.array([n])) for name, n in (("zero", 0), ("axis", 0))]
    table = graph.weight("embeddings.position_embeddings.weight")
    positions = graph.node("Slice", table, bounds[0], length, bounds[1])
    total = graph.node("Add", graph.node("Add", words, segments), positions)
    scale = [graph.weight(f"embeddings.LayerNorm.{part}") for part in ("weight", "bias")]
    return graph.node("LayerNormalization", total, *scale, axis=-1, epsilon=epsilon)


def _block(graph, tokens, name, config):
    attention = f"{name}.attention"
    parts = [f"{attention}.self.{part}" for part in ("query", "key", "value")]
    kernel = np.concatenate([graph._weights[f"{part}.weight"].T for part in parts], 1)
    bias = np.concatenate([graph._weights[f"{part}.bias"] for part in parts])
    attended = graph.node(
        "Attention",
        tokens,
        graph.constant(f"{attention}.kernel", kernel),
        graph.constant(f"{attention}.bias", bias),
        "padding_mask",
        domain=_FUSED,
        num_heads=config["num_attention_heads"],
    )
    epsilon = config["layer_norm_eps"]
    dense, bias = graph.dense(attended, f"{attention}.output.dense")
    norm = f"{attention}.output.LayerNorm"
    tokens = graph.normalized_sum(dense, tokens, bias, norm, epsilon)
    inner, bias = graph.dense(tokens, f"{name}.intermediate.dense")
    inner = graph.node("FastGelu", inner, bias, domain=_FUSED)
    dense, bias = graph.dense(inner, f"{name}.output.dense")
    return graph.normalized_sum(dense, tokens, bias, f"{name}.output.LayerNorm", epsilon)
