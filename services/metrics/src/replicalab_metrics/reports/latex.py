"""The table of results for a paper: LaTeX with booktabs, everything of the study escaped.

Sets are columns and measures rows, the other way round than on the page: papers are narrow, and a
study has more measures than sets.
"""

import json
from collections.abc import Iterable, Sequence

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab_metrics.reports.paper_table import PaperRow, paper_remarks, paper_rows
from replicalab_metrics.reports.published import SOURCE
from replicalab_metrics.reports.study import Study
from replicalab_metrics.reports.tables import (
    COLUMNS,
    NEGATIVE_TO,
    NOT_MEASURED,
    TO,
    Cell,
    ResultTable,
    result_table,
)
from replicalab_metrics.reports.wording import MEASURE_WORDS

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "`": r"\textasciigrave{}",
        "-": "{-}",  # two of them would become a dash
        "[": "{[}",  # after the end of a row an argument would begin
        "*": "{*}",
        "\N{EN DASH}": "--",
        "\N{MINUS SIGN}": "$-$",
        "\N{PLUS-MINUS SIGN}": r"$\pm$",
    }
)

_PREAMBLE = (
    r"Needs \usepackage{booktabs}, \usepackage{graphicx} and \usepackage[T1]{fontenc}; LuaLaTeX",
    "or XeLaTeX where names are not in Latin letters. A table wider than the text is made smaller.",
)


def results_table(study: Study) -> bytes:
    """The results, and beside the paper's where the study is the paper's, in UTF-8."""
    lines = [*_provenance(study), ""]
    table = result_table(study.measurements)
    if table.rows:
        lines += _environment(_caption(study, table), "results", study, _body(table))
    rows = paper_rows(study.paper)
    if rows:
        remarks = paper_remarks(study.paper)
        lines += ["", *_environment(_paper_caption(study, remarks), "paper", study, _beside(rows))]
    return "\n".join([*lines, ""]).encode()


def escaped(text: str) -> str:
    """``text`` as LaTeX prints it and nothing of it is a command."""
    return text.translate(_ESCAPES)


def _provenance(study: Study) -> list[str]:
    """Comments; a name cannot end one, since it is a JSON string."""
    return [
        "% ReplicaLab results",
        f"% study: {json.dumps(study.spec.name, ensure_ascii=False)}",
        f"% specification sha256: {study.spec_sha256}",
        f"% digests of all inputs, which the report lists, sha256: {study.inputs_sha256}",
        *(f"% {line}" for line in _PREAMBLE),
    ]


def _environment(caption: str, label: str, study: Study, body: Sequence[str]) -> list[str]:
    return [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{study.spec_sha256[:8]}-{label}}}",
        r"\small",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        *body[:-1],
        f"{body[-1]}}}",
        r"\end{table}",
    ]


def _caption(study: Study, table: ResultTable) -> str:
    spreads = [cell.spread for row in table.rows for cell in row.cells]
    sentences = [
        f"{escaped(study.spec.name)}: every reconstructed set by $t_{{re}}$, the remaining reverse "
        r"steps, and $\sigma$, the noise level it started from ($t_{re} = 0$ is the real set).",
        r"\emph{n} counts images unless it says seeds.",
    ]
    if any(spreads):
        sentences.append(r"$\pm$ is the standard deviation over training seeds.")
    if methods := _interval_methods(study.measurements):
        sentences.append(rf"Below each value its 95\,\% interval: {escaped(methods)}.")
    return " ".join(sentences)


def _interval_methods(measurements: Sequence[Measurement]) -> str:
    """How the intervals of the table were made, each method with its measures."""
    measures: dict[str, dict[str, None]] = {}
    for each in measurements:
        if each.interval and each.part is None and (each.name, each.reference) in COLUMNS:
            method = each.interval.method.partition(" over ")[0]
            measures.setdefault(method, {})[MEASURE_WORDS[MeasurementName(each.name)]] = None
    return "; ".join(f"{method} for {', '.join(words)}" for method, words in measures.items())


def _body(table: ResultTable) -> list[str]:
    heads = ["measure", r"\emph{n}", *(str(row.t_re) for row in table.rows)]
    sigmas = [r"$\sigma$", "", *(_number(row.sigma) for row in table.rows)]
    lines = [
        rf"\begin{{tabular}}{{ll{'r' * len(table.rows)}}}",
        r"\toprule",
        rf"& & \multicolumn{{{len(table.rows)}}}{{c}}{{$t_{{re}}$}} \\",
        rf"\cmidrule(l){{3-{2 + len(table.rows)}}}",
        _row(heads),
        _row(sigmas),
        r"\midrule",
    ]
    for index, column in enumerate(table.columns):
        cells = [row.cells[index] for row in table.rows]
        words = " ".join(filter(None, [column.measure, column.reference]))
        name = f"{escaped(words)} ({escaped(column.unit)})"
        if index:
            lines.append(r"\addlinespace")
        lines.append(_row([name, escaped(column.sample_size), *map(_value, cells)]))
        if any(cell.interval for cell in cells):
            lines.append(_row(["", "", *(_interval(cell.interval) for cell in cells)]))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _paper_caption(study: Study, remarks: Sequence[str]) -> str:
    return " ".join(
        [
            f"{escaped(study.spec.name)} beside {escaped(SOURCE)}, whose images came from EDM's "
            r"class{-}conditional model. Differences are ours minus theirs; intervals are 95\,\%.",
            *map(escaped, remarks),
        ]
    )


def _beside(rows: Sequence[PaperRow]) -> list[str]:
    lines = [
        r"\begin{tabular}{lrrrlrr}",
        r"\toprule",
        _row(["measure", "$t_{re}$", "ours", "interval", r"\emph{n}", "paper", "difference"]),
    ]
    measure = None
    for row in rows:
        if row.measure != measure:
            lines.append(r"\midrule")
        name = "" if row.measure == measure else escaped(row.measure)
        measure = row.measure
        numbers = [_number(row.ours), _interval(row.interval), escaped(row.n), escaped(row.theirs)]
        lines.append(_row([name, str(row.t_re), *numbers, escaped(row.difference)]))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _value(cell: Cell) -> str:
    if cell.value == NOT_MEASURED:
        return "--"
    spread = rf" $\pm$ {cell.spread}" if cell.spread else ""
    return f"{_number(cell.value)}{spread}"


def _number(text: str) -> str:
    """A number, as mathematics where it has a sign or a power of ten."""
    digits, _, exponent = text.partition("e")
    if exponent:
        return rf"${digits}\times10^{{{int(exponent)}}}$"
    return f"${text}$" if text.startswith("-") else text


def _interval(text: str) -> str:
    """Both ends in small print; a negative end keeps its sign apart from the dash."""
    ends = "--".join(_number(end) for end in text.replace(NEGATIVE_TO, TO).split(TO))
    return rf"{{\scriptsize {ends}}}" if text else ""


def _row(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
