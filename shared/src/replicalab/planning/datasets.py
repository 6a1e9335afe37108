"""Data sets that were imported: what a name stands for, and the task that reads the file."""

from collections.abc import Mapping
from dataclasses import dataclass

from replicalab.domain.artifacts import ArtifactRef, Sha256
from replicalab.domain.datasets import DatasetContents, DatasetRecipe, RegisteredDataset
from replicalab.domain.features import ClassifierFeatures
from replicalab.domain.specs import DatasetImportSpec, ExperimentSpec, TrainingSpec
from replicalab.domain.tasks import ImportDataset, TaskKey
from replicalab.file_errors import UnknownDataset
from replicalab.planning.builder import Plan, PlanBuilder


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """What the name of a registered data set stands for.

    Attributes:
        version: Digest of the imported images.
        contents: Where they come from, and their numbers.
    """

    version: Sha256
    contents: DatasetContents


def plan(spec: DatasetImportSpec) -> Plan:
    """The one task of an import."""
    builder = PlanBuilder()
    add_import(builder, spec.file, spec.recipe)
    return builder.build()


def add_import(builder: PlanBuilder, file: ArtifactRef, recipe: DatasetRecipe) -> TaskKey:
    """Add the task that reads ``file``; that of a study is the one that the import ran."""
    return builder.add(ImportDataset(file=file, recipe=recipe), work=max(file.size_bytes, 1))


def is_any_registered(spec: ExperimentSpec | TrainingSpec) -> bool:
    """Whether ``spec`` names a data set that somebody has imported."""
    foreign = _foreign_features(spec)
    found = (spec.dataset, foreign.dataset if foreign else None)
    return any(isinstance(dataset, RegisteredDataset) for dataset in found)


def pinned(
    spec: ExperimentSpec | TrainingSpec, registered: Mapping[str, DatasetVersion]
) -> ExperimentSpec | TrainingSpec:
    """``spec`` with every registered data set that it names pinned.

    That is the one studied, and the one whose classifier gives the features.

    Raises:
        UnknownDataset: As ``pin``.
    """
    changes: dict[str, object] = {}
    if isinstance(spec.dataset, RegisteredDataset):
        changes["dataset"] = pin(spec.dataset, registered)
    features = _foreign_features(spec)
    if features is not None and isinstance(features.dataset, RegisteredDataset):
        dataset = pin(features.dataset, registered)
        changes["features"] = features.model_copy(update={"dataset": dataset})
    return spec.model_copy(update=changes)


def _foreign_features(spec: ExperimentSpec | TrainingSpec) -> ClassifierFeatures | None:
    """Features of a classifier of a data set that ``spec`` names for them."""
    if not isinstance(spec, ExperimentSpec):
        return None
    return spec.features if isinstance(spec.features, ClassifierFeatures) else None


def pin(dataset: RegisteredDataset, registered: Mapping[str, DatasetVersion]) -> RegisteredDataset:
    """``dataset`` with the version and the contents that its name stands for.

    Args:
        dataset: As it was asked for.
        registered: The data sets of the project that are ready, by name.

    Raises:
        UnknownDataset: The project has none of this name, or another than the one meant.
    """
    found = registered.get(dataset.name)
    if found is None:
        there_are = ", ".join(sorted(registered)) or "none"
        raise UnknownDataset(
            f"The project has imported no data set {dataset.name!r} that is ready; "
            f"there are: {there_are}."
        )
    if dataset.version not in {None, found.version}:
        raise UnknownDataset(
            f"The data set {dataset.name!r} stands for the version {found.version}, "
            f"not {dataset.version}."
        )
    if dataset.contents not in (None, found.contents):
        raise UnknownDataset(
            f"The data set {dataset.name!r} was imported from another file, under another licence "
            "or by another recipe than `contents` says."
        )
    return RegisteredDataset(name=dataset.name, version=found.version, contents=found.contents)
