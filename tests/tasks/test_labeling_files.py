"""Readers of words with tags: columns, CoNLL-U, JSON lines; every error with its place."""

import json
import re

import pytest

from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.labeling_files import Sentence, read_sentences


def read(path, text, *, word_column=None, tag_column=None, skip=False, labels=()):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    bad_rows = BadRows(skip=skip)
    found = read_sentences(
        path, word_column=word_column, tag_column=tag_column, bad_rows=bad_rows, labels=labels
    )
    return (found, bad_rows.messages) if skip else found


def pairs(sentences):
    return [(" ".join(s.words), " ".join(s.tags)) for s in sentences]


def test_conll_2003(tmp_path):
    text = (
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n. . O O\n\n\n"
        "-DOCSTART- -X- O O\n\nPeter  NNP B-NP\tB-PER\r\n# # O O\n"
    )
    found = read(tmp_path / "a.txt", text)
    assert found[0] == Sentence(3, ("EU", "rejects", "."), ("B-ORG", "O", "O"))
    assert pairs(found) == [("EU rejects .", "B-ORG O O"), ("Peter #", "B-PER O")]
    assert found[1].line == 10
    parts = read(tmp_path / "a.txt", text, tag_column="1")
    assert pairs(parts)[0] == ("EU rejects .", "NNP VBZ .")


def test_wnut_s_tabs_and_lines_of_white_space(tmp_path):
    text = "\ufeffNew York\tB-location\n#tag\tO\n\t\nEnd\u00a0of\u2028it\tO"
    assert pairs(read(tmp_path / "a.conll", text)) == [
        ("New York #tag", "B-location O"),
        ("End\u00a0of\u2028it", "O"),
    ]


def test_white_space_around_a_tag_makes_no_other_tag(tmp_path):
    assert pairs(read(tmp_path / "a.tsv", "EU\tB-ORG \nsaid\t O\nit\tO\n")) == [
        ("EU said it", "B-ORG O O")
    ]


def test_document_lines_and_comments_with_columns_of_their_own(tmp_path):
    text = "-DOCSTART- -X- O O\n\n# id 1 domain=en\nEU\tO\n# text = a\tb\tc\n#\tO\n"
    assert pairs(read(tmp_path / "a.tsv", text)) == [("EU #", "O O")]
    # MultiCoNER's comments have a tab, its words none.
    text = "# id 1-2\tdomain=train\nthe _ _ O\n# _ _ O\n\n# id 3\tdomain=train\nEU _ _ B-CORP\n"
    assert pairs(read(tmp_path / "a.conll", text)) == [("the #", "O O"), ("EU", "B-CORP")]
    text = "#begin document (bc/a); part 000\nthe O\n#tag O\n\n#end document\n"
    assert pairs(read(tmp_path / "a.conll", text)) == [("the #tag", "O O")]
    with pytest.raises(ValueError, match="line 2: 2 columns where the file has 3"):
        read(tmp_path / "a.conll", "the X O\n#tag O\n")


def test_words_are_not_their_own_tags(tmp_path):
    message = "words and tags must be different columns. Received: column 0 for both, of 1, parted"
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "ner.csv", "word,tag\nEU,B-ORG\n")
    with pytest.raises(ValueError, match="column 1 for both, of 2, parted by tabs"):
        read(tmp_path / "a.tsv", "EU\tB-ORG\n", word_column="1")


def test_comments_and_columns_by_number(tmp_path):
    text = "# sent_id = 1\n# text = a # b\nThe\tDET\tDT\n#\tSYM\tNN\n\n# newdoc\n\nb\tNOUN\tNN\n"
    found = read(tmp_path / "a.tsv", text, word_column="0", tag_column="1")
    assert pairs(found) == [("The #", "DET SYM"), ("b", "NOUN")]
    assert pairs(read(tmp_path / "a.tsv", text, tag_column="-1"))[0] == ("The #", "DT NN")


def test_a_header_names_the_columns(tmp_path):
    text = "Word POS Tag\nBerlin NNP B-LOC\n"
    found = read(tmp_path / "a.txt", text, word_column="Word", tag_column="Tag")
    assert pairs(found) == [("Berlin", "B-LOC")]


def test_conllu_without_multiword_tokens_and_empty_nodes(tmp_path):
    def line(number, form, upos, xpos="_"):
        return "\t".join([number, form, "_", upos, xpos, *"_" * 5]) + "\n"

    text = (
        "# text = vamonos a\n" + line("1-2", "vamonos", "_") + line("1", "vamos", "VERB", "V")
        + line("2", "nos", "PRON", "P") + line("2.1", "_", "NOUN") + line("3", "a b", "ADP", "A")
        + "\n"
    )  # fmt: skip
    found = read(tmp_path / "a.conllu", text)
    assert found == [Sentence(3, ("vamos", "nos", "a b"), ("VERB", "PRON", "ADP"))]
    assert read(tmp_path / "a.conllu", text, tag_column="XPOS")[0].tags == ("V", "P", "A")
    broken = text.replace("3\ta b", "x\ta b")
    with pytest.raises(ValueError, match=re.escape("line 6: the ID of a word must be a number.")):
        read(tmp_path / "a.conllu", broken)


def test_json_lines(tmp_path):
    rows = [{"tokens": ["a", ""], "tags": ["O", "B-x"]}, {"tokens": ["c"], "tags": [1]}]
    text = "\n".join(map(json.dumps, rows))
    found = read(tmp_path / "a.jsonl", text, labels=("O", "B-x"))
    assert found == [Sentence(1, ("a", ""), ("O", "B-x")), Sentence(2, ("c",), ("B-x",))]
    assert read(tmp_path / "a.jsonl", text)[1].tags == ("1",)
    renamed = json.dumps({"words": ["a"], "ner_tags": ["O"]})
    found = read(tmp_path / "b.json", renamed, word_column="words", tag_column="ner_tags")
    assert pairs(found) == [("a", "O")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "a O\nb\n", "a.txt, line 2: 1 column where the file has 2, parted by spaces."),
        ("a.txt", "a\tO\n\nb c\tX\tO\n", "line 3: 3 columns where the file has 2, parted by tabs."),
        ("a.txt", "a\tO\nb\t \n", "line 2: the tag of 'b' is empty."),
        ("a.txt", b"a O\n\xff O\n", "line 2: byte 0xff is not UTF-8."),
        ("a.txt", "\n \n", "there are no sentences in it that can be used."),
        ("a.txt", "a O\n", ("5", "no column 5. The file has 2 columns, 0 to 1 or -2 to -1")),
        ("a.txt", "w t\na O\n", ("tag", "no column 'tag'. The file has: 'w', 't'.")),
        ("a.conllu", "1\ta\tO\n", "line 1: 3 columns where the file has 10, parted by tabs."),
        ("a.jsonl", '{"tokens": ["a"], "tags": []}', "line 1: 1 words in 'tokens' and 0 tags"),
        ("a.jsonl", '{"tokens": "a b", "tags": []}', "'tokens' must hold a list of words"),
        ("a.jsonl", '{"tokens": [], "tags": []}', "column 'tokens' has no words."),
        ("a.jsonl", '{"tokens": ["a"], "tags": [1.5]}', "a whole number. Received: 1.5"),
        ("a.jsonl", '{"tokens": ["a"], "tags": "O"}', "column 'tags' must hold a list of tags."),
        ("a.jsonl", '{"tokens": ["\\ud800"], "tags": ["O"]}', "half of a surrogate pair"),
        ("a.jsonl", '{"words": ["a"]}', "line 1: no 'tokens'. There is: 'words'."),
        ("a.jsonl", "[1]", "a line must hold a JSON object."),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path, name, text, message):
    column = None
    if isinstance(message, tuple):
        column, message = message
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path / name, text, tag_column=column)


def test_a_sentence_with_a_bad_line_is_left_out_as_a_whole(tmp_path):
    text = "a O\nb\nc O\n\nd O\n"
    found, messages = read(tmp_path / "a.txt", text, skip=True)
    assert pairs(found) == [("d", "O")]
    assert len(messages) == 1 and "line 2" in messages[0]
