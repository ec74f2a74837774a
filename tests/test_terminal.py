from __future__ import annotations

from rich.console import Console

from lamina.study.run import Opening
from lamina.study.verdict import (
    Baseline,
    Best,
    Budget,
    Candidate,
    Check,
    Data,
    Environment,
    Metric,
    Score,
    Settings,
    StudyRecord,
    Verdict,
)
from lamina.terminal import Screen, paragraphs, rows_bar, show_record

DATA = Data(
    path="traffic.csv",
    rows=600,
    series=1,
    hash="f00d",
    splits={"train": 12_264, "validation": 90, "test": 90},
    season=(24, 168),
    notes=("gaps [in brackets] are kept",),
)
MACHINE = Environment(versions={}, cpu="any", threads=2, backend="aten")


def console(width: int = 80, *, terminal: bool = False) -> Console:
    return Console(width=width, record=True, force_terminal=terminal, quiet=False, file=None, stderr=True)


def record(*, read: bool = True) -> StudyRecord:
    return StudyRecord(
        schema=1,
        task="forecast",
        metric=Metric(name="MASE", unit="errors", direction="lower"),
        data=DATA,
        environment=MACHINE,
        budget=Budget(asked_s=300.0, used_s=290.0),
        settings=Settings(seed=0),
        questions=(
            Verdict(id="depth", answer=2, status="decided", sentence="2 layers. " + "word " * 30),
            Verdict(id="trivial", answer="lstm ×2", status="decided", sentence="yes: 18 % better [so]."),
        ),
        candidates=(
            Candidate(
                id="one",
                label="lstm ×1",
                parameters=19_000,
                scores=(Score(seed=1, validation=0.7, test=0.66),),
            ),
            Candidate(
                id="two",
                label="lstm ×2",
                parameters=52_000,
                train_s=14.0,
                predict_ms=0.9,
                scores=(
                    Score(seed=1, validation=0.6, test=0.6 if read else None),
                    Score(seed=2, validation=0.6, test=0.62 if read else None),
                ),
            ),
        )
        if read
        else (
            Candidate(
                id="two", label="lstm ×2", scores=(Score(seed=1, validation=0.59),), outcome="collapsed"
            ),
        ),
        baselines=(Baseline(id="naive", label="naive", validation=0.98, test=0.97 if read else None),),
        best=Best(candidate="two", path="best") if read else None,
        checks=(
            Check(code="LK03", outcome="pass", evidence="", sentence="fine"),
            Check(code="LK01", outcome="fail", evidence="", sentence="column 'tip' gives the future away"),
        ),
    )


def test_the_head_names_data_split_and_budget_first() -> None:
    screen = console()
    Screen(screen).opening(Opening(DATA, ("600 rows", "hourly", "2 covariates"), MACHINE, 300.0))
    lines = [line.rstrip() for line in screen.export_text().splitlines()]
    assert lines[0] == " traffic.csv   600 rows · hourly · 2 covariates"
    assert lines[1].startswith(
        " split         train 12,264 · validation 90 · test 90 (read once, at the end)"
    )
    assert lines[2].strip() == "season 24, 168" or "season 24, 168" in lines[1] + lines[2]
    assert any(line == " budget        5 min · 2 cores · backend aten" for line in lines)
    assert any("gaps [in brackets] are kept" in line for line in lines)


def test_paragraphs_hang() -> None:
    screen = console(60)
    screen.print(paragraphs([("Depth", "word " * 30)]))
    first, *others = screen.export_text().splitlines()
    assert first.startswith(" Depth         word")
    assert len(others) >= 2
    assert all(line.startswith(" " * 15 + "word") for line in others)


def test_answers_then_failed_checks_then_the_table() -> None:
    screen = console(100)
    show_record(screen, record(), "traffic-study")
    text = screen.export_text()
    places = [
        text.index(part) for part in ("Depth", "Worth it?", "LK01", "MASE (test)", "lstm ×2  ", "naive")
    ]
    assert places == sorted(places)
    assert "[so]" in text
    assert "LK03" not in text


def test_further_questions_that_were_left_open_share_a_line() -> None:
    def asked(name: str, sentence: str) -> Verdict:
        return Verdict(id=name, answer=None, status="undecided", sentence=sentence)

    screen, known = console(100), record()
    left = "Not answered: it needs about 9 s, and 1 s of the budget are left for it."
    questions = (
        asked("cell", left),
        asked("depth-parameters", left),
        asked("depth-time", "undecided between 1 and 2 layers."),
        asked("transformer-time", left),
    )
    show_record(screen, known.model_copy(update={"questions": questions}), "traffic-study")
    lines = screen.export_text().splitlines()
    assert any(line.startswith(" Cell          Not answered: it needs") for line in lines)
    assert any(line.startswith(" Equal time    undecided between") for line in lines)
    assert any(
        line.startswith(" Not answered  depth-parameters, transformer-time; the report") for line in lines
    )
    assert "Equal size" not in screen.export_text()


def test_a_stage_has_the_label_of_its_question_whole() -> None:
    screen = console()
    with Screen(screen) as drawn:
        drawn.opening(Opening(DATA, (), MACHINE, 20.0))
        drawn.stage("transformer-time", "lstm ×1 a Transformer of like time", 3.0)
    assert "● like time   lstm ×1" in screen.export_text()


def test_the_table_ranks_by_validation_and_marks_the_best() -> None:
    screen = console(100)
    show_record(screen, record(), "traffic-study")
    rows = [
        line.split() for line in screen.export_text().splitlines() if "lstm ×" in line and "yes" not in line
    ]
    assert rows[0][:6] == ["▶", "lstm", "×2", "0.610", "±", "0.014"]
    assert rows[0][-1] == "traffic-study/best"
    assert rows[1][:3] == ["lstm", "×1", "0.660"]


def test_without_a_test_part_the_table_says_validation() -> None:
    screen = console(100)
    show_record(screen, record(read=False), "traffic-study")
    text = screen.export_text()
    assert "MASE (validation)" in text
    assert "0.590" in text
    assert "0.980" in text
    assert "collapsed" in text
    assert "▶" not in text


def test_without_a_terminal_a_line_is_printed_for_each_stage() -> None:
    screen = console()
    with Screen(screen) as drawn:
        drawn.opening(Opening(DATA, (), MACHINE, 20.0))
        drawn.stage("depth", "1 2 · 3 trials [each]", 12.4)
        drawn.advance(1, 2)
        drawn.answer("depth", "2 layers.")
        drawn.stage("test", "read once", 0.2)
    text = screen.export_text()
    assert "● depth       1 2 · 3 trials [each] · about 12 s" in text
    assert text.count("●") == 2
    assert "about 0 s" not in text


def test_in_a_terminal_each_stage_has_a_bar() -> None:
    screen = console(100, terminal=True)
    with Screen(screen) as drawn:
        drawn.opening(Opening(DATA, ("600 rows",), MACHINE, 20.0))
        drawn.stage("depth", "1 2", 12.4)
        drawn.advance(1, 2)
        drawn.stage("test", "read once", 3.0)
    lines = screen.export_text().splitlines()
    shown = [line for line in lines if line.startswith("●")]
    assert [line.split()[1] for line in shown[-2:]] == ["depth", "test"]
    assert all("━" in line and "0:00:0" in line for line in shown[-2:])
    assert not any("reading" in line for line in shown[-2:])


def test_rows_of_a_stream_are_counted_in_a_terminal_alone() -> None:
    for terminal in (True, False):
        screen = console(terminal=terminal)
        with rows_bar(screen, 250) as advance:
            for _ in range(250):
                advance(None, None)
        assert ("200 of 250 rows" in screen.export_text()) == terminal
