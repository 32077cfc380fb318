"""The picture is well-formed, safe with any label, and shows every cell that is not empty."""

from xml.etree import ElementTree

import numpy as np

from keras_bert_suite.evaluation.confusion_picture import confusion_svg

_SVG = "{http://www.w3.org/2000/svg}"


def test_cells_and_their_tooltips():
    root = ElementTree.fromstring(confusion_svg(np.array([[3, 1], [0, 2]]), ["<a&b>", "b"]))
    tips = [title.text for title in root.iter(f"{_SVG}title")]
    assert tips == [
        "gold <a&b>, predicted <a&b>: 3 (75.0% of the row)",
        "gold <a&b>, predicted b: 1 (25.0% of the row)",
        "gold b, predicted b: 2 (100.0% of the row)",
    ]
    texts = [text.text for text in root.iter(f"{_SVG}text")]
    assert texts.count("<a&b>") == 2 and "3" in texts


def test_many_and_long_labels_stay_in_the_picture():
    labels = [f"label {i} " + "x" * 200 for i in range(80)]
    root = ElementTree.fromstring(confusion_svg(np.eye(80, dtype=int), labels))
    assert int(root.get("width")) < 1200
    assert len(list(root.iter(f"{_SVG}title"))) == 80
