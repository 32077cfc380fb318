"""Which releases of TF Serving can load a SavedModel, told from what its graph needs.

A loader refuses a graph with an op that it does not have, or an op's attribute that it does not
know. TF Serving brings TensorFlow's ops and those of one release of tf.text; nothing else.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from keras_bert_suite.serving.versions import find_versions

# The ops of tensorflow/text, tensorflow_text/BUILD, ops_lib, at 2.12.1; up to 2.20.0 none of them
# got another input, output or attribute.
_TEXT_OPS = frozenset(
    """
    CaseFoldUTF8 ConstrainedSequence FastBertNormalize FastWordpieceTokenizeWithOffsets
    FindSourceOffsets MaxSpanningTree NormalizeUTF8 NormalizeUTF8WithOffsetsMap PhraseTokenize
    RegexSplitWithOffsets RougeL SentenceFragments SentenceFragmentsV2 SentencepieceDetokenizeOp
    SentencepieceIdToStringOp SentencepieceOp SentencepieceStringToIdOp SentencepieceTokenizeOp
    SentencepieceTokenizeWithOffsetsOp SentencepieceVocabSizeOp SplitMergeTokenizeWithOffsets
    TFText>BoiseTagsToOffsets TFText>ByteSplitByOffsets TFText>ByteSplitWithOffsets
    TFText>FastSentencepieceDetokenize TFText>FastSentencepieceTokenize
    TFText>FastWordpieceDetokenize TFText>NgramsStringJoin TFText>OffsetsToBoiseTags
    TFText>PhraseDetokenize TFText>WhitespaceTokenizeWithOffsetsV2 TokenizerFromLogits
    UnicodeScriptTokenizeWithOffsets WhitespaceTokenizeWithOffsets WordpieceTokenizeWithOffsets
    """.split()
)
_NEWER_TEXT_OPS = frozenset(
    ["TFText>RoundRobinGenerateMasks", "TFText>RoundRobinTrim", "TFText>Utf8Binarize"]
)
_PYTHON_OPS = frozenset(["PyFunc", "PyFuncStateless", "EagerPyFunc"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release:
    """A release of TF Serving.

    Attributes:
      name: its number, which is also that of the TensorFlow it is built of.
      text_version: the tf.text that it bundles.
      text_ops: the ops of that.
      graph_version: TF_GRAPH_DEF_VERSION of its TensorFlow.
      missing_ops: ops that TensorFlow got later, up to 2.21, TPU embeddings left out.
      missing_attributes: (op, attribute) that TensorFlow got later.
    """

    name: str
    text_version: str
    text_ops: frozenset[str]
    graph_version: int
    missing_ops: frozenset[str]
    missing_attributes: frozenset[tuple[str, str]]


# Compared by TF_GetAllOpList of the released wheels with that of 2.21.0.
RELEASES = (
    Release(
        name="2.19.1",
        text_version="2.12.1",
        text_ops=_TEXT_OPS,
        graph_version=2129,
        missing_ops=frozenset(["DecodeJxl", "DecodeWebP", "TPUDummyInput"]),
        missing_attributes=frozenset(
            [
                ("TensorListGetItem", "Tshape"),
                ("XlaCallModule", "use_shardy_partitioner"),
                ("TPUReplicateMetadata", "use_shardy_partitioner"),
            ]
        ),
    ),
    Release(
        name="2.20.0",
        text_version="2.20.0",
        text_ops=_TEXT_OPS | _NEWER_TEXT_OPS,
        graph_version=2288,
        missing_ops=frozenset(["DecodeJxl"]),
        missing_attributes=frozenset([("TensorListGetItem", "Tshape")]),
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """What a SavedModel's graph needs of its loader.

    Attributes:
      path: the version directory.
      tensorflow: the version that wrote it.
      graph_version, min_graph_version: of the writer, and the oldest reader that it allows.
      text_ops: ops of tf.text, sorted.
      core_ops: ops of TensorFlow, sorted.
      foreign_ops: ops of neither, sorted.
      attributes: (op, attribute) that nodes carry.
      compiled_functions: functions that must be compiled by XLA, which TF Serving does not do.
    """

    path: Path
    tensorflow: str
    graph_version: int
    min_graph_version: int
    text_ops: tuple[str, ...]
    core_ops: tuple[str, ...]
    foreign_ops: tuple[str, ...]
    attributes: frozenset[tuple[str, str]]
    compiled_functions: tuple[str, ...]

    def obstacles(self, release: Release) -> list[str]:
        """Why a release cannot load or run it; empty when it can."""
        found = []
        for what, ops in (
            ("has no op of tf.text", set(self.text_ops) - release.text_ops),
            ("has no op", set(self.core_ops) & release.missing_ops),
            ("has no op of another library", set(self.foreign_ops)),
            ("runs no Python", set(self.core_ops) & _PYTHON_OPS),
            ("does not compile by XLA", set(self.compiled_functions)),
        ):
            if ops:
                found.append(f"it {what}: {', '.join(sorted(ops))}")
        if unknown := sorted(self.attributes & release.missing_attributes):
            found.append(f"it does not know {', '.join('.'.join(pair) for pair in unknown)}")
        if self.min_graph_version > release.graph_version:
            found.append(
                f"it reads graphs of version {release.graph_version}, which wants a reader of "
                f"{self.min_graph_version}"
            )
        return found

    def report(self) -> str:
        """The ops against the releases and who can load it, for people."""
        lines = [
            f"{self.path}: written by TensorFlow {self.tensorflow}, graph version "
            f"{self.graph_version}, for readers from {self.min_graph_version} on",
            f"{len(self.core_ops)} ops of TensorFlow, {len(self.text_ops)} of tf.text:",
        ]
        width = max(map(len, self.text_ops), default=0)
        for op in self.text_ops:
            cells = (
                f"{release.text_version} {'yes' if op in release.text_ops else 'NO'}"
                for release in RELEASES
            )
            lines.append(f"  {op:{width}}  in tf.text {', '.join(cells)}")
        for release in RELEASES:
            obstacles = self.obstacles(release)
            verdict = f"cannot load it: {'; '.join(obstacles)}" if obstacles else "can load it"
            lines.append(
                f"TF Serving {release.name}, which bundles tf.text {release.text_version}, "
                f"{verdict}"
            )
        return "\n".join(lines)

    @property
    def loadable(self) -> bool:
        """Whether at least one release can load it."""
        return any(not self.obstacles(release) for release in RELEASES)


def reports(directory: str | os.PathLike) -> Iterator[str]:
    """Gives a text for people of each version that `check` finds.

    Raises:
      ValueError: as `check`; at the end, where no release can load some of them.
      OSError: as `check`.
    """
    checked = check(directory)
    for needs in checked:
        yield needs.report()
    if unloadable := [str(needs.path) for needs in checked if not needs.loadable]:
        raise ValueError(f"No release of TF Serving can load {', '.join(unloadable)}.")


def check(directory: str | os.PathLike[str]) -> list[Needs]:
    """What the SavedModels of a directory need: a version directory, or a base path with several.

    Raises:
      ValueError: there is none, or one is damaged.
      OSError: one cannot be read.
    """
    directory = Path(directory)
    versions: Mapping[int, Path] = {0: directory}
    if not (directory / "saved_model.pb").exists():
        versions = find_versions(directory)
    if not versions:
        raise ValueError(
            f"{directory} must be a SavedModel (with a saved_model.pb) or have version directories "
            "named by an integer, each with one."
        )
    return [_needs(versions[version]) for version in sorted(versions)]


def _needs(path: Path) -> Needs:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    file = path / "saved_model.pb"
    try:
        saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{file} is no SavedModel, or damaged: {error}") from error
    if not saved_model.meta_graphs:
        raise ValueError(f"{file} is no SavedModel: it has no graph.")
    meta_graph = saved_model.meta_graphs[0]
    graph = meta_graph.graph_def
    functions = {function.signature.name: function for function in graph.library.function}
    nodes = [*graph.node, *(node for f in functions.values() for node in f.node_def)]
    # A node may call a function by its name in the place of an op.
    ops = {node.op for node in nodes} - set(functions)
    text, core, foreign = _sorted_out(ops)
    return Needs(
        path=path,
        tensorflow=meta_graph.meta_info_def.tensorflow_version,
        graph_version=graph.versions.producer,
        min_graph_version=graph.versions.min_consumer,
        text_ops=text,
        core_ops=core,
        foreign_ops=foreign,
        attributes=frozenset((node.op, name) for node in nodes for name in node.attr),
        compiled_functions=tuple(sorted(name for name, f in functions.items() if _must_compile(f))),
    )


def _must_compile(function) -> bool:
    return "_XlaMustCompile" in function.attr and function.attr["_XlaMustCompile"].b


def _sorted_out(ops: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Ops of tf.text, of TensorFlow, and of neither, each sorted."""
    from tensorflow.python.framework import op_def_registry

    ops = sorted(ops)
    known = _TEXT_OPS | _NEWER_TEXT_OPS
    text = tuple(op for op in ops if op in known or op.startswith("TFText>"))
    others = [op for op in ops if op not in text]
    core = tuple(op for op in others if op_def_registry.get(op) is not None)
    return text, core, tuple(op for op in others if op not in core)
