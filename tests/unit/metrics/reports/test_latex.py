"""The table for LaTeX: what the page's table says, and nothing of a study is a command in it."""

import re
from collections.abc import Callable

import pytest

from replicalab.domain.measures import Measurement, Reference
from replicalab_metrics.reports.latex import escaped, results_table
from replicalab_metrics.reports.study import Study

Studies = Callable[..., Study]

SPECIAL = r"50 % of $x_1 & #2 {a}~b^c \input{/etc/passwd} <|> " + '"q" --'


def text_of(study: Study) -> str:
    return results_table(study).decode()


def commands_of(text: str) -> set[str]:
    """Every control word of what LaTeX reads, comments left out."""
    lines = [re.sub(r"(?<!\\)%.*", "", line) for line in text.splitlines()]
    return set(re.findall(r"\\[a-zA-Z]+", "\n".join(lines)))


def rows_of(text: str) -> list[list[str]]:
    """Cells of every row, ends of lines cut off."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))]
        for line in text.splitlines()
        if line.endswith(r"\\")
    ]


def test_a_name_that_means_something_to_latex_means_nothing_here(study: Studies) -> None:
    text = text_of(study(SPECIAL))
    assert commands_of(text) <= commands_of(text_of(study())) | {
        r"\textbackslash",
        r"\textasciitilde",
        r"\textasciicircum",
        r"\textless",
        r"\textgreater",
        r"\textbar",
        r"\textquotedbl",
    }
    assert r"50 \% of \$x\_1 \& \#2 \{a\}\textasciitilde{}b" in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text


@pytest.mark.parametrize("name", [SPECIAL, "a\N{LINE SEPARATOR}b", "ä ö 数"])
def test_braces_are_balanced_whatever_the_name(study: Studies, name: str) -> None:
    lines = [line for line in text_of(study(name)).splitlines() if not line.startswith("%")]
    bare = re.sub(r"\\[{}]", "", "\n".join(lines))
    assert bare.count("{") == bare.count("}")


def test_every_character_of_latex_is_escaped() -> None:
    for character in "#$%&_{}":
        assert escaped(character) == f"\\{character}"
    for character in '~^\\<>|"`':
        assert re.fullmatch(r"\\text[a-z]+\{\}", escaped(character))
    assert escaped("[a] * -") == "{[}a] {*} {-}"  # no argument of the end of a row
    assert escaped("t_re 9 to 18") == r"t\_re 9 to 18"


def test_it_holds_what_the_table_of_the_page_holds(study: Studies) -> None:
    text = text_of(study())
    rows = {row[0]: row for row in rows_of(text)}
    assert rows["measure"][2:] == ["0", "9", "18"]
    assert rows[r"$\sigma$"][2:] == ["0", "0.9", "1.8"]
    assert rows[r"accuracy (\%)"] == [r"accuracy (\%)", "3 seeds", "95.0", "90.0", "85.0"]
    assert rows[r"recall to held{-}out set (\%)"][1:] == ["60", "100.0", "80.0", "60.0"]
    assert all(len(row) == 5 for row in rows_of(text)[1:])


def test_the_interval_stands_below_its_value(study: Studies) -> None:
    rows = rows_of(text_of(study()))
    place = next(i for i, row in enumerate(rows) if row[0].startswith("accuracy"))
    assert rows[place + 1][2:] == [
        r"{\scriptsize 94.0--96.0}",
        r"{\scriptsize 89.0--91.0}",
        r"{\scriptsize 84.0--86.0}",
    ]


def test_the_caption_explains_what_the_table_shows(
    study: Studies, measured: Callable[..., Measurement]
) -> None:
    accuracy = measured("accuracy", 0, 0.95, n=3, n_unit="seeds")
    spread = accuracy.model_copy(update={"std": 0.012})
    text = text_of(study("my study", measurements=[spread]))
    (caption,) = re.findall(r"\\caption\{(.*)\}", text)
    assert caption.startswith("my study: ")
    assert r"$\pm$ is the standard deviation over training seeds" in caption
    assert r"95\,\% interval: by construction for accuracy." in caption
    assert r"95.0 $\pm$ 1.2" in text


def test_what_is_not_there_is_not_explained(
    study: Studies, measured: Callable[..., Measurement]
) -> None:
    single = measured("accuracy", 0, 0.95, margin=None, n=1, n_unit="seeds")
    text = text_of(study(measurements=[single]))
    assert "interval" not in text
    assert r"\pm" not in text


def test_negative_values_have_a_minus_and_missing_ones_a_dash(
    study: Studies, measured: Callable[..., Measurement]
) -> None:
    found = [
        measured("kernel_distance", 0, -0.5, unit="squared", reference=Reference.TRAIN),
        measured("accuracy", 9, 0.9),
    ]
    text = text_of(study(measurements=found))
    rows = {row[0].partition(" ")[0]: row for row in rows_of(text)}
    assert rows["kernel"][2:] == ["$-0.5000$", "--"]
    assert r"{\scriptsize $-0.5100$--$-0.4900$}" in text


def test_tiny_values_are_powers_of_ten(
    study: Studies, measured: Callable[..., Measurement]
) -> None:
    tiny = measured("frechet_distance", 0, -2.4e-10, margin=None, unit="squared")
    tiny = tiny.model_copy(update={"reference": Reference.TRAIN})
    assert r"$-2.4\times10^{-10}$" in text_of(study(measurements=[tiny]))


def test_comments_say_where_the_numbers_come_from(study: Studies) -> None:
    made = study("a % b")
    comments = [line for line in text_of(made).splitlines() if line.startswith("%")]
    assert '% study: "a % b"' in comments
    assert f"% specification sha256: {made.spec_sha256}" in comments
    assert any(
        line.endswith(f"inputs, which the report lists, sha256: {made.inputs_sha256}")
        for line in comments
    )
    assert any("booktabs" in line for line in comments)


def test_a_study_without_measurements_has_no_table(study: Studies) -> None:
    assert r"\begin" not in text_of(study(measurements=[]))
