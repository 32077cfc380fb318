"""The figures of stats.json, by hand."""

import json

import numpy as np

from keras_bert_suite.data.corpus_statistics import CorpusStatistics


def test_figures_of_three_documents():
    statistics = CorpusStatistics()
    # The second document holds no token; the third was counted elsewhere.
    statistics.add(
        document_lengths=np.array([16, 0]),
        sentence_lengths=np.array([3, 5, 8]),
        num_records=3,
        unknown_tokens=1,
    )
    other = CorpusStatistics()
    other.add(
        document_lengths=np.array([4]),
        sentence_lengths=np.array([4]),
        num_records=1,
        unknown_tokens=1,
    )
    other.dropped["duplicate"] = 2
    written = json.loads(json.dumps(other.to_json()))
    statistics.merge(CorpusStatistics.from_json(written))
    assert statistics.summary() == {
        "documents": 2,
        "skipped_documents": 1,
        "dropped_documents": {"duplicate": 2},
        "records": 4,
        "sentences": 4,
        "tokens": 20,
        "unknown_token_rate": 0.1,
        "tokens_per_sentence": {
            "mean": 5.0,
            "min": 3,
            "max": 8,
            # Nearest rank among 3, 4, 5, 8.
            "percentiles": {"1": 3, "5": 3, "25": 3, "50": 4, "75": 5, "95": 8, "99": 8},
            "histogram": {"2-3": 1, "4-7": 2, "8-15": 1},
        },
        "tokens_per_document": {
            "mean": 10.0,
            "min": 4,
            "max": 16,
            "percentiles": {"1": 4, "5": 4, "25": 4, "50": 4, "75": 16, "95": 16, "99": 16},
            "histogram": {"4-7": 1, "16-31": 1},
        },
    }


def test_an_empty_corpus_has_figures_too():
    summary = CorpusStatistics().summary()
    assert (summary["documents"], summary["tokens"], summary["unknown_token_rate"]) == (0, 0, 0.0)
    assert summary["tokens_per_sentence"] == {}
