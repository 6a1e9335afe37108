"""What the planner hands the metrics service is what its handlers read."""

import json

import numpy as np
import pytest

from replicalab.domain import artifacts
from replicalab.domain.features import FeatureSpec, InceptionFeatures, InDomainFeatures, space_of
from replicalab.domain.measures import (
    ALL_MEASURES,
    DEFAULT_MEASURES,
    AccuracyMeasure,
    GradCamMeasure,
    MeasureSpec,
    PcaMeasure,
    RealClassifierMeasure,
)
from replicalab.domain.specs import ExperimentSpec
from replicalab.domain.tasks import (
    QUEUES,
    Embed,
    EmbedPublished,
    Evaluate,
    Explain,
    PrepareDataset,
    Project,
    Queue,
    Reconstruct,
    Report,
    TaskDefinition,
    TaskKey,
    TaskKind,
    TaskParams,
    TrainClassifier,
    TrainDetector,
)
from replicalab.engine.handlers import MemoryContext
from replicalab.planning.plan import plan
from replicalab.storage.detections import Detections
from replicalab.storage.features import FeatureSet, TestLogits
from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab_metrics.evaluations.registry import handlers
from replicalab_metrics.reports.claims import CLAIMS

pytestmark = pytest.mark.slow

PLANNED_IMAGES = 1297
TRAIN_IMAGES, TEST_IMAGES, CLASSES = 50, 40, 10

FIGURES = (
    "images",
    "accuracy",
    "distances",
    "real-classifier",
    "quality",
    "edges",
    "components",
    "class-components",
)
NUMBERS = {
    artifacts.RESULTS_CSV,
    artifacts.RESULTS_JSON,
    artifacts.RESULTS_PARQUET,
    artifacts.RESULTS_TABLE,
}

Outputs = dict[str, bytes]


def images(seed: int, indices: np.ndarray) -> bytes:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (len(indices), 8, 8, 1), dtype=np.uint8)
    return ImageSet(pixels, indices % CLASSES, indices).to_bytes()


def logits_and_labels(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, CLASSES)).astype(np.float32), np.arange(n) % CLASSES


def detections(seed: int, detector_seed: int, split_seed: int) -> bytes:
    sources = np.arange(0, TRAIN_IMAGES, 5)
    logits = np.random.default_rng(seed).standard_normal((2 * len(sources), 2))
    return Detections(
        logits.astype(np.float32),
        np.repeat([0, 1], len(sources)),
        np.tile(sources, 2),
        np.tile(sources % CLASSES, 2),
        detector_seed,
        split_seed,
        learnt_sources=TRAIN_IMAGES - len(sources),
    ).to_bytes()


def heat_maps(params: Explain, seed: int) -> HeatMaps:
    indices = np.arange(TEST_IMAGES)
    return HeatMaps(
        maps=np.random.default_rng(seed).random((TEST_IMAGES, 4, 4), dtype=np.float32),
        labels=indices % CLASSES,
        predictions=indices % CLASSES,
        indices=indices,
        image_size=np.array([8, 8]),
        block=params.block,
        seed=params.seed,
        classifier_sha256="c" * 64,
    )


def worker_outputs(params: TaskParams, seed: int) -> Outputs:
    """What the worker stores, in the right form and of no deeper truth."""
    match params:
        case PrepareDataset():
            return {
                artifacts.TRAIN_IMAGES: images(seed, np.arange(TRAIN_IMAGES)),
                artifacts.TEST_IMAGES: images(seed + 1, np.arange(TEST_IMAGES)),
            }
        case Reconstruct(first=first, count=count):
            bounds = [TRAIN_IMAGES * bound // PLANNED_IMAGES for bound in (first, first + count)]
            return {artifacts.RECONSTRUCTED_IMAGES: images(seed, np.arange(*bounds))}
        case TrainClassifier(seed=classifier_seed):
            logits, labels = logits_and_labels(seed, TEST_IMAGES)
            answers = TestLogits(logits, labels, classifier_seed)
            return {
                artifacts.CLASSIFIER_WEIGHTS: b"weights",
                artifacts.TEST_LOGITS: answers.to_bytes(),
            }
        case TrainDetector(seed=detector_seed, split=split):
            return {artifacts.DETECTIONS: detections(seed, detector_seed, split.seed)}
        case Explain():
            return {artifacts.HEAT_MAPS: heat_maps(params, seed).to_bytes()}
        case Embed():
            logits, labels = logits_and_labels(seed, TRAIN_IMAGES)
            features = FeatureSet(logits, logits, labels, np.arange(TRAIN_IMAGES), "e" * 64)
            return {artifacts.FEATURES: features.to_bytes()}
        case EmbedPublished(extractor=extractor):
            drawn, labels = logits_and_labels(seed, TRAIN_IMAGES)
            features = FeatureSet(
                drawn,
                None,
                labels,
                np.arange(TRAIN_IMAGES),
                extractor.weights_sha256,
                space_of(extractor),
            )
            return {artifacts.FEATURES: features.to_bytes()}
        case _:
            raise AssertionError(f"the worker has no {params.kind} in this study")


def context_of(task: TaskDefinition, outputs: dict[TaskKey, Outputs]) -> MemoryContext:
    inputs: dict[str, list[bytes]] = {}
    for each in task.inputs:
        inputs.setdefault(each.role, []).append(outputs[each.key][each.artifact])
    return MemoryContext(inputs)


def run(spec: ExperimentSpec) -> list[tuple[TaskDefinition, MemoryContext]]:
    """Every metrics task of ``spec`` and what it left behind."""
    outputs: dict[TaskKey, Outputs] = {}
    done = []
    for seed, task in enumerate(plan(spec).tasks):
        if task.queue is Queue.WORKER:
            outputs[task.key] = worker_outputs(task.params, seed)
            continue
        context = context_of(task, outputs)
        handlers()[task.kind](context, task.params)
        outputs[task.key] = context.outputs
        done.append((task, context))
    return done


def promised(params: TaskParams) -> set[str]:
    """The artifacts that the parameter models' docstrings promise."""
    match params:
        case Evaluate():
            return {artifacts.MEASUREMENTS}
        case Project():
            return {artifacts.PCA}
        case Report():
            figures = {f"figure-{slug}.{form}" for slug in FIGURES for form in ("svg", "png")}
            return {artifacts.REPORT} | NUMBERS | figures
        case _:
            raise AssertionError(f"metrics has no {params.kind}")


def test_there_is_a_handler_for_every_kind_of_the_queue() -> None:
    assert handlers().keys() == {kind for kind, queue in QUEUES.items() if queue is Queue.METRICS}


@pytest.mark.parametrize(
    "features", [InDomainFeatures(), InceptionFeatures()], ids=lambda features: features.kind
)
def test_every_planned_task_finds_its_inputs_and_keeps_its_promise(features: FeatureSpec) -> None:
    for task, context in run(
        ExperimentSpec(name="all measures", t_re=(0, 9, 18), features=features)
    ):
        assert context.outputs.keys() == promised(task.params)
        assert (len(context.measurements) > 0) == (task.kind is TaskKind.EVALUATE)
        done, total, _ = context.progress_reports[-1]
        assert 0 < done <= total


@pytest.mark.parametrize("measure", ALL_MEASURES, ids=lambda measure: measure.kind)
def test_a_study_of_one_measure_is_reported(measure: MeasureSpec) -> None:
    spec = ExperimentSpec(
        name="one measure", t_re=(0, 18), classifier_seeds=(5,), measures=(measure,)
    )
    task, context = run(spec)[-1]
    assert task.kind is TaskKind.REPORT
    figures = [name for name in context.outputs if name.endswith(".svg")]
    own = 2 if measure == PcaMeasure() else 1
    assert len(figures) == 1 + own, "the images, and what the measure is drawn in"


def test_a_planned_study_judges_every_claim_of_the_papers() -> None:
    measures = (*DEFAULT_MEASURES, GradCamMeasure())
    _, context = run(ExperimentSpec(name="claims", t_re=(0, 6, 12, 18), measures=measures))[-1]
    claims = json.loads(context.outputs[artifacts.RESULTS_JSON])["claims"]
    assert [claim["name"] for claim in claims] == [claim.name for claim in CLAIMS]
    by_name = {claim["name"]: claim for claim in claims}
    accuracy = by_name["accuracy-falls"]["evidence"][0]
    assert accuracy["n"] == "3 seeds on 4 sets", "seeds are found in the measurements as planned"
    drift = by_name["attention-drifts"]["evidence"][0]
    assert drift["n"] == "3 seeds on 3 sets", "the real set is no part of the trend"
    for claim in claims:
        assert claim["verdict"] != "not asked for"
        assert claim["p"] <= claim["p_adjusted"]
        assert f"{claim['figure']}.svg" in context.outputs
        assert f'href="#{claim["figure"]}"' in context.outputs[artifacts.REPORT].decode()


def test_a_planned_study_compares_accuracy_over_seeds_and_images() -> None:
    _, context = run(ExperimentSpec(name="pairs", t_re=(0, 9, 18), measures=(AccuracyMeasure(),)))[
        -1
    ]
    found = json.loads(context.outputs[artifacts.RESULTS_JSON])["comparisons"]
    for each in found:
        over_both = each["over_seeds_and_images"]
        assert (over_both["n_seeds"], over_both["n_images"]) == (3, TEST_IMAGES)
        assert over_both["fall"]["value"] == pytest.approx(each["fall"]["value"])
    assert f"3 seeds, {TEST_IMAGES} images" in context.outputs[artifacts.REPORT].decode()


def test_a_report_planned_before_it_read_answers_is_made_as_before() -> None:
    spec = ExperimentSpec(name="old", t_re=(0, 18), measures=(AccuracyMeasure(),))
    task, planned = run(spec)[-1]
    of_before = {
        role: body for role, body in planned.inputs.items() if not role.startswith("answers")
    }
    context = MemoryContext(of_before)
    handlers()[task.kind](context, task.params)
    (pair,) = json.loads(context.outputs[artifacts.RESULTS_JSON])["comparisons"]
    assert pair["n"] == 3
    assert pair["over_seeds_and_images"] is None


def test_entropies_of_reconstructed_test_images_reach_the_report() -> None:
    spec = ExperimentSpec(
        name="held out",
        t_re=(0, 9, 18),
        classifier_seeds=(0,),
        measures=(RealClassifierMeasure(held_out=True),),
    )
    _, context = run(spec)[-1]
    found = json.loads(context.outputs[artifacts.RESULTS_JSON])["measurements"]
    entropies = [each for each in found if each["name"] == "held_out_entropy"]
    assert [each["t_re"] for each in entropies] == [0, 9, 18]
    assert "entropy on held-out images" in context.outputs[artifacts.REPORT].decode()


def test_a_study_without_the_real_set_is_reported() -> None:
    task, context = run(ExperimentSpec(name="one set", t_re=(7,)))[-1]
    assert task.kind is TaskKind.REPORT
    assert context.outputs[artifacts.REPORT]
