"""A specification and its numbers in words."""

from typing import assert_never

from replicalab.domain.classifiers import (
    IMAGENET_RESNET18_SHA256,
    CifarResNet18,
    ClassifierSpec,
    PaperResNet18,
)
from replicalab.domain.datasets import DatasetSpec, RegisteredDataset, contents_of, facts_of
from replicalab.domain.generators import (
    BundledGenerator,
    GeneratorSpec,
    ImportedGenerator,
    TrainedGenerator,
)
from replicalab.domain.measures import Measurement, MeasurementName
from replicalab.domain.samplers import (
    AblationSampler,
    DpmSolverSampler,
    EulerSampler,
    HeunSampler,
    SamplerSpec,
)
from replicalab.domain.specs import ExperimentSpec

MEASURE_WORDS = {
    MeasurementName.ACCURACY: "accuracy",
    MeasurementName.SEED_ACCURACY: "accuracy of single seeds",
    MeasurementName.FRECHET_DISTANCE: "Fréchet distance",
    MeasurementName.PRECISION: "precision",
    MeasurementName.RECALL: "recall",
    MeasurementName.REAL_CLASSIFIER_ACCURACY: "real classifier's accuracy",
    MeasurementName.REAL_CLASSIFIER_ENTROPY: "real classifier's entropy",
    MeasurementName.HELD_OUT_ENTROPY: "real classifier's entropy on held-out images",
    MeasurementName.KERNEL_DISTANCE: "kernel distance",
    MeasurementName.KERNEL_DISTANCE_OF_SUBSETS: "kernel distance, mean over subsets",
    MeasurementName.DENSITY: "density",
    MeasurementName.COVERAGE: "coverage",
    MeasurementName.RIM_RECALL: "recall of the rim",
    MeasurementName.RIM_COVERAGE: "coverage of the rim",
    MeasurementName.TENTH_RECALL: "recall by tenth",
    MeasurementName.TENTH_COVERAGE: "coverage by tenth",
    MeasurementName.CENTROID_DISTANCE_RATIO: "distance to the class centroid",
    MeasurementName.ALPHA_PRECISION: "alpha-precision",
    MeasurementName.BETA_RECALL: "beta-recall",
    MeasurementName.AUTHENTICITY: "authenticity",
    MeasurementName.SOURCE_NEAREST: "source is the nearest",
    MeasurementName.VENDI_SCORE: "Vendi score",
    MeasurementName.FEATURE_LIKELIHOOD_DIVERGENCE: "feature likelihood divergence",
    MeasurementName.CLASS_FLIP_RATE: "class-flip rate",
    MeasurementName.PIXEL_DETECTION_ACCURACY: "fake detection by pixels",
    MeasurementName.PIXEL_DETECTION_AUC: "fake detection by pixels, AUC",
    MeasurementName.SEED_PIXEL_DETECTION_ACCURACY: "fake detection by pixels, single seeds",
    MeasurementName.DCT_DETECTION_ACCURACY: "fake detection by DCT",
    MeasurementName.DCT_DETECTION_AUC: "fake detection by DCT, AUC",
    MeasurementName.SEED_DCT_DETECTION_ACCURACY: "fake detection by DCT, single seeds",
    MeasurementName.HEAT_MAP_CORRELATION: "correlation of heat maps",
    MeasurementName.SEED_HEAT_MAP_CORRELATION: "correlation of heat maps of single seeds",
    MeasurementName.HEAT_MAP_OVERLAP: "overlap of heat maps",
    MeasurementName.SEED_HEAT_MAP_OVERLAP: "overlap of heat maps of single seeds",
    MeasurementName.CONSTANT_HEAT_MAPS: "constant heat maps",
}


def describe(spec: ExperimentSpec) -> list[str]:
    """What was asked, as sentences."""
    return [
        f"Every training image of {_dataset(spec.dataset)} was diffused to the noise level at "
        f"which t_re reverse steps remain and brought back by {_generator(spec.generator)}, with "
        f"{_sampler(spec.sampler)}, for t_re = {_list(spec.t_re)}. {_start(spec)}",
        f"On each set {_classifier(spec.classifier)} was trained {_times(spec)} and tested on "
        "real images it had never seen.",
    ]


def format_value(value: float, unit: str) -> str:
    """Shares in percent to one decimal, everything else to four decimals or digits."""
    if unit == "1":
        return f"{100 * value:.1f}"
    if abs(value) < 0.001:
        return f"{value:.2g}"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:#.4g}"


def format_unit(unit: str) -> str:
    """The unit ``format_value`` writes in."""
    return "%" if unit == "1" else unit


def format_with_interval(measurement: Measurement) -> str:
    """Value, interval and sample size in a sentence."""
    unit = format_unit(measurement.unit)
    text = f"{format_value(measurement.value, measurement.unit)} {unit}"
    if measurement.interval:
        low = format_value(measurement.interval.low, measurement.unit)
        high = format_value(measurement.interval.high, measurement.unit)
        text += f" (95 % interval {low} to {high})"
    return text


def name_of(dataset: DatasetSpec) -> str:
    """A data set by its name; one that was imported with its version and licence."""
    if not isinstance(dataset, RegisteredDataset):
        return dataset.kind
    licence = contents_of(dataset).licence
    return f"{dataset.name} (version {(dataset.version or '')[:12]}, under {licence})"


def _dataset(dataset: DatasetSpec) -> str:
    facts = facts_of(dataset)
    colours = "grey" if facts.channels == 1 else "colour"
    return (
        f"the data set {name_of(dataset)} ({facts.train_images:,} {colours} images of "
        f"{facts.resolution} x {facts.resolution} pixels in {facts.classes} classes)"
    )


def _generator(generator: GeneratorSpec) -> str:
    match generator:
        case BundledGenerator(name=name):
            return f"the bundled generator {name}"
        case TrainedGenerator(training=training):
            return (
                f"a generator trained for it (EDM, {training.images:,} images seen, seed "
                f"{training.seed})"
            )
        case ImportedGenerator(name=name, sha256=sha256, licence=licence):
            return (
                f"the imported generator {name} (file {(sha256 or '')[:12]}, weights under "
                f"{licence})"
            )
        case _:
            assert_never(generator)


def _sampler(sampler: SamplerSpec) -> str:
    sigma_max, *_, sigma_min, _ = sampler.levels()
    levels = f"{sampler.steps} steps from sigma {sigma_max:.4g} to {sigma_min:.4g}"
    match sampler:
        case HeunSampler(s_churn=0):
            return f"Heun's deterministic sampler of {levels} (rho {sampler.rho:g})"
        case HeunSampler(s_churn=churn):
            return (
                f"Heun's stochastic sampler (S_churn {churn:g}) of {levels} (rho {sampler.rho:g})"
            )
        case EulerSampler():
            return f"Euler's deterministic sampler of {levels} (rho {sampler.rho:g})"
        case DpmSolverSampler():
            return f"DPM-Solver++(2M) of {levels} (rho {sampler.rho:g})"
        case AblationSampler():
            return (
                f"{sampler.solver.title()}'s deterministic sampler of {levels} "
                f"({sampler.discretisation.kind} discretisation, {sampler.schedule.kind} "
                f"schedule, {'variance-preserving' if sampler.scaling == 'vp' else 'no'} scaling)"
            )
        case _:
            assert_never(sampler)


def _start(spec: ExperimentSpec) -> str:
    sentences = []
    if 0 in spec.t_re:
        sentences.append("t_re = 0 is the real set itself.")
    if spec.sampler.steps in spec.t_re:
        start = "pure noise" if spec.start == "noise" else "the image under the strongest noise"
        sentences.append(f"t_re = {spec.sampler.steps} started from {start}.")
    return " ".join(sentences)


def _classifier(classifier: ClassifierSpec) -> str:
    name = "a small-image ResNet-18" if isinstance(classifier, CifarResNet18) else "a ResNet-18"
    details = [f"preset {classifier.kind}", f"{classifier.epochs} epochs"]
    if isinstance(classifier, PaperResNet18) and classifier.pretrained:
        details.append(f"from ImageNet weights, sha256 {IMAGENET_RESNET18_SHA256}")
    if classifier.precision != "float32":
        details.append(f"trained in {classifier.precision}")
    return f"{name} ({', '.join(details)})"


def _times(spec: ExperimentSpec) -> str:
    seeds = spec.classifier_seeds
    return f"{len(seeds)} times (seeds {_list(seeds)})" if len(seeds) > 1 else "once"


def _list(numbers: tuple[int, ...]) -> str:
    *most, last = (str(number) for number in numbers)
    return f"{', '.join(most)} and {last}" if most else last
