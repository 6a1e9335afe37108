"""The page that tells people what is in the archive of an experiment."""

from collections.abc import Sequence

from replicalab.crates import layout
from replicalab.crates.layout import ArchivedFile
from replicalab.crates.manifest import outcome_of
from replicalab.domain.artifacts import REPORT, RESULTS_PARQUET, RESULTS_TABLE
from replicalab.domain.exports import ExportedPlan, Included

_LEFT_OUT = {
    Included.NONE: "Of the artifacts, only the report, its figures and its tables are here.",
    Included.RESULTS: "Image sets and weights of networks are left out.",
    Included.ALL: "Every artifact that was stored is here.",
}

_CONTENTS = f"""## What is where

- `{REPORT}`: the report as one page; open it in a browser. `figures/`: its figures.
  `{RESULTS_PARQUET}`: its numbers with typed columns; `{RESULTS_TABLE}`: its table for LaTeX. An
  experiment without a report has none of them.
- `{layout.RESULTS_CSV}`: every measurement on a line, for a spreadsheet or a data frame; missing
  values are empty. `{layout.RESULTS_JSON}`: the same with every detail.
- `{layout.SPEC}`: what was asked for. Given to a ReplicaLab installation, it runs again.
- `{layout.PLAN}`: the tasks that answered it, each with its key, parameters, inputs, times, the
  environment it ran in, and the artifacts it wrote with their digests, also of those left out.
- `{layout.MANIFEST}`: the same described for programs, as an RO-Crate 1.2
  (https://w3id.org/ro/crate/1.2).
- `{layout.CHECKSUMS}`: the SHA-256 of every other file.
- `artifacts/<kind of task>/<key of task>/`: what the tasks wrote.
"""

_CHECKING = f"""
`t_re` is the number of reverse steps that a training image went through; at 0 it is the real one.

## Is it whole?

In the unpacked folder: `sha256sum -c {layout.CHECKSUMS}`. That shows that nothing was damaged, not
who made it.
"""


def readme_of(plan: ExportedPlan, artifacts: Sequence[ArchivedFile]) -> str:
    """The page, in Markdown.

    Args:
        plan: What ran.
        artifacts: Those in the archive.
    """
    experiment = plan.experiment
    size_bytes = sum(file.ref.size_bytes for file in artifacts)
    return f"""# {_plain(experiment.name)}

A ReplicaLab experiment, exported {plan.exported_at:%Y-%m-%d %H:%M} UTC from
{_plain(plan.installation)} (version {plan.service_version}). {outcome_of(experiment)}

ReplicaLab measures what is lost when a generative model's samples replace a training set. Nothing
of it is needed to read this archive: every file is HTML, CSV, JSON, Parquet, LaTeX, an image, or an
array of numpy or safetensors.

| | |
|---|---|
| id | `{experiment.id}` |
| kind | {experiment.kind} |
| by | {_plain(experiment.owner)} |
| submitted | {experiment.created_at:%Y-%m-%d %H:%M} UTC |
| ended | {experiment.ended_at:%Y-%m-%d %H:%M} UTC, {experiment.state} |
| tasks | {len(plan.tasks)} |
| artifacts here | {len(artifacts)}, {size_bytes:,} bytes |

{_CONTENTS}  {_LEFT_OUT[plan.included]}
{_CHECKING}"""


def _plain(text: str) -> str:
    """Text that people have typed, without meaning in Markdown."""
    return "".join(f"\\{one}" if one in r"\`*_{}[]<>()#+-!|&" else one for one in text)
