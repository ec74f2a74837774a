from __future__ import annotations

from pathlib import Path

import pytest
from seqeval.scheme import IOB2, IOBES, Entities

from lamina.data.conll import mark_entities, read_conll, read_conllu, to_bio, to_bioes
from lamina.errors import DataError

CONLLU = """# sent_id = 1
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\tdo\tAUX\tVBP\t_\t0\troot\t_\t_
2\tn't\tnot\tPART\tRB\t_\t1\tadvmod\t_\t_
2.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t_\t_
3\t10 000\t10 000\tNUM\tCD\t_\t1\tobj\t_\t_

# sent_id = 2
1\tSí\tsí\tINTJ\tUH\t_\t0\troot\t_\t_
"""


def test_conllu_gives_words_and_the_column_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(CONLLU, encoding="utf-8")
    words, tags = read_conllu(tmp_path / "a.conllu")
    assert words == [["do", "n't", "10 000"], ["Sí"]]
    assert tags == [["AUX", "PART", "NUM"], ["INTJ"]]
    assert read_conllu(tmp_path / "a.conllu", tag="XPOS").tags == [["VBP", "RB", "CD"], ["UH"]]


def test_columns_give_words_and_tags(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\r\nrejects VBZ B-VP O\r\n\r\n\n. . O O"
    (tmp_path / "a.txt").write_text(text, newline="")
    words, tags = read_conll(tmp_path / "a.txt")
    assert words == [["EU", "rejects"], ["."]]
    assert tags == [["B-ORG", "O"], ["O"]]
    assert read_conll(tmp_path / "a.txt", word=0, tag=1).tags == [["NNP", "VBZ"], ["."]]


def test_comments_above_a_sentence_are_no_words(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("# id 12 domain=en\na _ _ O\n# _ _ B-X\n\n# id 13 domain=en\nb _ _ O\n")
    assert read_conll(file) == ([["a", "#"], ["b"]], [["O", "B-X"], ["O"]])


def test_tags_that_are_no_entities_are_told_apart() -> None:
    assert mark_entities(["O", "S-X", "I-X"])
    assert not mark_entities(["O", "DET", "X"])
    assert not mark_entities(["S-----", "VP-A-3MS--"])  # no O: morphology, not entities
    for other in ("Z-X", "B", "B-"):
        with pytest.raises(DataError, match=f"but '{other}' stands among such as 'B-X'"):
            mark_entities(["O", "B-X", other])
        with pytest.raises(DataError, match=f"there is '{other}'"):
            to_bioes([other])


def test_files_with_faults_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(CONLLU.replace("\t0\troot\t_\t_\n2\tn", "\n2\tn"))
    with pytest.raises(DataError, match="the same columns, here 10, but line 3 of"):
        read_conllu(path)
    with pytest.raises(DataError, match="one of ID, FORM"):
        read_conllu(path, tag="POS")
    for wrong in ("word tag\nword\n", "a X O\nb Y\n", "the\tO\nNew York\tB-LOC\n", "word O\n# a comment\n"):
        path.write_text(wrong)
        with pytest.raises(DataError, match=r"the same columns, here \d, but line 2 of .* has \d"):
            read_conll(path)
    path.write_text("\n\n")
    with pytest.raises(DataError, match="has none"):
        read_conll(path)


def test_a_word_may_hold_blanks_that_part_no_columns(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("10\u00a0000 NUM\r\na\u2028b\tX\n \t\nc  Y\n", encoding="utf-8")
    assert read_conll(file) == ([["10\u00a0000", "a\u2028b"], ["c"]], [["NUM", "X"], ["Y"]])


@pytest.mark.parametrize(
    "tags",
    [
        ["O", "B-A", "I-A", "I-A", "B-A", "B-B", "O"],
        ["B-A", "I-A"],
        ["B-B"],
        ["O"],
    ],
)
def test_bio_and_bioes_hold_the_same_entities(tags: list[str]) -> None:
    ends = to_bioes(tags)
    assert to_bio(ends) == tags
    found = [
        [entity.to_tuple() for entity in Entities([sequence], scheme).entities[0]]
        for sequence, scheme in ((tags, IOB2), (ends, IOBES))
    ]
    assert found[0] == found[1]


def test_iob1_is_understood() -> None:
    for ends in (["S-PER", "S-PER"], ["B-A", "E-A", "O", "S-B"], ["O", "B-A", "I-A", "E-A"]):
        assert to_bioes(ends) == ends
    assert to_bio(to_bioes(["I-A", "I-A", "B-A", "I-B", "O"])) == ["B-A", "I-A", "B-A", "B-B", "O"]
