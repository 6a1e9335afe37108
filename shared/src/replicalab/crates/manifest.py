"""The RO-Crate manifest of an exported experiment.

RO-Crate 1.2 (https://w3id.org/ro/crate/1.2) and the profile Process Run Crate 0.5
(https://w3id.org/ro/wfrun/process/0.5): a data set, and the run of a program that made it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from replicalab.crates.layout import MANIFEST, SPEC, ArchivedFile
from replicalab.domain.exports import ExportedExperiment, ExportedPlan
from replicalab.domain.states import ExperimentState

SPECIFICATION = "https://w3id.org/ro/crate/1.2"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = (f"{SPECIFICATION}/context", "https://w3id.org/ro/terms/workflow-run/context")
ROOT = "./"
NO_LICENCE = "Nobody has said under which terms this may be used; ask its author."

_AUTHOR = "#author"
_LICENCE = "#licence"
_PUBLISHER = "#installation"
_RUN = "#run"
_SOFTWARE = "#replicalab"
_STUDY = "https://arxiv.org/abs/2311.13090"
_OUTCOMES: Mapping[ExperimentState, str] = {
    ExperimentState.SUCCEEDED: "It succeeded.",
    ExperimentState.FAILED: "It FAILED: results are not complete.",
    ExperimentState.CANCELLED: "It was CANCELLED before its end: results are not complete.",
}

Entity = dict[str, object]


def manifest_of(
    plan: ExportedPlan,
    spec: Mapping[str, object],
    files: Sequence[ArchivedFile],
    licence: str | None,
) -> Entity:
    """The JSON-LD document that describes an archive.

    Args:
        plan: What ran.
        spec: The specification as it was accepted.
        files: Everything in the archive but the manifest and the list of digests.
        licence: Under which the results may be used, in words or as the address of the terms.
    """
    used = list(_used(spec))
    graph = [
        {
            "@id": MANIFEST,
            "@type": "CreativeWork",
            "about": _reference(ROOT),
            "conformsTo": _reference(SPECIFICATION),
        },
        _root(plan, files, _licence_id(licence)),
        {
            "@id": PROFILE,
            "@type": ["CreativeWork", "Profile"],
            "name": "Process Run Crate",
            "version": "0.5",
        },
        _licence(licence),
        {"@id": _AUTHOR, "@type": "Person", "name": plan.experiment.owner},
        {"@id": _PUBLISHER, "@type": "Organization", "name": plan.installation},
        _software(plan),
        _run(plan.experiment, files, used),
        {
            "@id": _status(plan.experiment),
            "@type": "ActionStatusType",
            "name": outcome_of(plan.experiment),
        },
        *used,
        *map(_file, files),
    ]
    return {"@context": list(CONTEXT), "@graph": graph}


def outcome_of(experiment: ExportedExperiment) -> str:
    """How the experiment ended, in words."""
    return _OUTCOMES[experiment.state]


def _reference(entity: str) -> Entity:
    return {"@id": entity}


def _references(entities: Iterable[str]) -> list[Entity]:
    return [_reference(entity) for entity in entities]


def _root(plan: ExportedPlan, files: Sequence[ArchivedFile], licence: str) -> Entity:
    experiment = plan.experiment
    return {
        "@id": ROOT,
        "@type": "Dataset",
        "identifier": experiment.id.urn,
        "name": experiment.name,
        "description": f"The ReplicaLab experiment {experiment.name!r} ({experiment.kind}): "
        f"specification, tasks, results and artifacts. {outcome_of(experiment)}",
        "datePublished": plan.exported_at.isoformat(),
        "dateCreated": experiment.created_at.isoformat(),
        "license": _reference(licence),
        "author": _reference(_AUTHOR),
        "publisher": _reference(_PUBLISHER),
        "conformsTo": _reference(PROFILE),
        "hasPart": _references(file.path for file in files),
        "mentions": _reference(_RUN),
    }


def _licence_id(licence: str | None) -> str:
    is_address = licence is not None and licence.startswith(("https://", "http://"))
    return licence if licence is not None and is_address else _LICENCE


def _licence(licence: str | None) -> Entity:
    words = licence or NO_LICENCE
    return {
        "@id": _licence_id(licence),
        "@type": "CreativeWork",
        "name": licence or "No licence stated",
        "description": words,
    }


def _software(plan: ExportedPlan) -> Entity:
    """The program that ran, in the versions of the workers that ran it, where they are known."""
    versions = {task.environment.version for task in plan.tasks if task.environment is not None}
    ran = ", ".join(sorted(versions)) or plan.service_version
    return {
        "@id": _SOFTWARE,
        "@type": "SoftwareApplication",
        "name": "ReplicaLab",
        "url": _STUDY,
        "version": ran,
        "softwareVersion": ran,
        "description": "Measures what is lost when a generative model's samples replace a "
        f"training set, after {_STUDY}.",
    }


def _status(experiment: ExportedExperiment) -> str:
    has_succeeded = experiment.state is ExperimentState.SUCCEEDED
    return f"http://schema.org/{'Completed' if has_succeeded else 'Failed'}ActionStatus"


def _run(
    experiment: ExportedExperiment, files: Sequence[ArchivedFile], used: Sequence[Entity]
) -> Entity:
    inputs = {SPEC, *(str(entity["@id"]) for entity in used)}
    run: Entity = {
        "@id": _RUN,
        "@type": "CreateAction",
        "name": f"Run of {experiment.name!r}",
        "description": f"The tasks of plan.json were run. {outcome_of(experiment)}",
        "startTime": experiment.created_at.isoformat(),
        "endTime": experiment.ended_at.isoformat(),
        "actionStatus": _reference(_status(experiment)),
        "agent": _reference(_AUTHOR),
        "instrument": _reference(_SOFTWARE),
        "object": _references(sorted(inputs)),
        "result": _references(file.path for file in files if file.path != SPEC),
    }
    if experiment.state is ExperimentState.SUCCEEDED:
        return run
    return run | {"error": outcome_of(experiment)}


def _used(spec: Mapping[str, object]) -> Iterator[Entity]:
    """What the run began with besides the specification, with its terms where they are known."""
    features = spec.get("features")
    foreign = features.get("dataset") if isinstance(features, dict) else None
    roles = {
        "dataset": spec.get("dataset"),
        "generator": spec.get("generator"),
        "features.dataset": foreign,
    }
    for role, used in roles.items():
        if not isinstance(used, dict):
            continue
        contents = used.get("contents")
        licence = (contents if isinstance(contents, dict) else used).get("licence")
        entity: Entity = {
            "@id": f"#{role}",
            "@type": "CreativeWork",
            "name": f"{role} {used.get('name', used.get('kind'))}",
            "description": f"As `{role}` of {SPEC} says.",
        }
        yield entity if licence is None else entity | {"license": licence}


def _file(file: ArchivedFile) -> Entity:
    return {
        "@id": file.path,
        "@type": "File",
        "name": file.path.rpartition("/")[2],
        "description": file.description,
        "contentSize": str(file.ref.size_bytes),
        "encodingFormat": file.ref.media_type.partition(";")[0],
        "sha256": file.ref.sha256,
    }
