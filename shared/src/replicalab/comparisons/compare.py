"""Real images beside generated ones, in one call."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from replicalab.comparisons import parts
from replicalab.comparisons.choices import UNLABELLED_MEASURES, check_of_two_sets, needs_labels
from replicalab.comparisons.labels import Classes, shared_classes
from replicalab.comparisons.parts import EmbedImages, Report
from replicalab.comparisons.sides import Side, Source, features_of, read_side
from replicalab.domain.features import DinoFeatures, InceptionFeatures, resize_of, space_of
from replicalab.domain.measures import Measurement, MeasureSpec
from replicalab.errors import InvalidImageSet
from replicalab.file_errors import InvalidComparison, InvalidDataset
from replicalab.storage.features import FeatureSet
from replicalab.storage.pixel_rows import Pixels

Extractor = InceptionFeatures | DinoFeatures

DEFAULT_EXTRACTOR = InceptionFeatures()


def _silent(_done: float, _total: float, _stage: str) -> None:
    """Report nothing."""


def compare(
    real: Source,
    fake: Source,
    *,
    measures: Sequence[MeasureSpec] = UNLABELLED_MEASURES,
    if_labelled: Sequence[MeasureSpec] = (),
    extractor: Extractor | None = None,
    report: Report = _silent,
) -> list[Measurement]:
    """Measure a generated set beside a real one; no service is asked.

    Args:
        real: Folder of images, .npy or .npz file, or array: uint8 images, (image, height, width)
            with or without channels at the end, or floating-point features, (image, dimension).
            Class folders, and an array ``labels`` in an .npz, say what class an image is of.
        fake: The same of generated images, none of them made from one of the real ones.
        measures: Those of ``UNLABELLED_MEASURES`` and ``LABELLED_MEASURES``, with options of your
            own. Only the latter look at labels.
        if_labelled: More of ``LABELLED_MEASURES``, left out where the sides have not the same
            classes, two at least.
        extractor: The network that images are compared in; Inception-v3 as in FID by default.
        report: Takes (done, total, stage), often; may raise to stop.

    Returns:
        Measurements with value, n, interval and recipe, in the order of ``measures``.

    Raises:
        InvalidComparison: A side is not what it should be, the two are unlike in kind, or labels
            that a measure needs are missing or of other classes.
        InvalidMeasureInput: Unlike extractors, too few images for a measure, or features that
            are constant.
        WeightsUnavailable: The file of the network's weights is not in the weights folder.
        ModuleNotFoundError: The package of the measures, or of the networks, is not installed.
    """
    check_of_two_sets([*measures, *if_labelled])
    measure = parts.comparing()
    sides = read_side(real), read_side(fake)
    classes = _classes_of(sides, measures, if_labelled)
    real_features, fake_features, recipe = _features_of(sides, extractor, report)
    if classes is not None:
        measures = (*measures, *if_labelled)
        real_features = replace(real_features, labels=classes.real)
        fake_features = replace(fake_features, labels=classes.fake)
    found = measure(real_features, fake_features, tuple(measures), report)
    return [_described(measurement, recipe, classes) for measurement in found]


def _classes_of(
    sides: tuple[Side, Side], measures: Sequence[MeasureSpec], if_labelled: Sequence[MeasureSpec]
) -> Classes | None:
    """What both sides are labelled with; None where they are not, and nothing needs it."""
    is_needed = any(map(needs_labels, measures))
    if not is_needed and not if_labelled:
        return None
    try:
        return shared_classes(*(side.classes for side in sides))
    except InvalidComparison:
        if is_needed:
            raise
        return None


def _features_of(
    sides: tuple[Side, Side], extractor: Extractor | None, report: Report
) -> tuple[FeatureSet, FeatureSet, dict[str, JsonValue]]:
    """Features of both sides, and what their recipe says beyond that of a study."""
    match sides[0].content, sides[1].content:
        case (FeatureSet() as real, FeatureSet() as fake):
            if extractor is not None:
                raise InvalidComparison("A network is for images, and these are features already.")
            return real, fake, {}
        case (FeatureSet(), _) | (_, FeatureSet()):
            raise InvalidComparison("One side is features and the other one images.")
        case (real_images, fake_images):
            network = extractor or DEFAULT_EXTRACTOR
            embed = parts.embedding()
            return (
                _embedded(embed, real_images, network, report, "real"),
                _embedded(embed, fake_images, network, report, "fake"),
                {
                    "resize": resize_of(network),
                    "real_form": form_of(real_images),
                    "fake_form": form_of(fake_images),
                },
            )


def form_of(images: Pixels) -> str:
    """Size and colour of every image, in words."""
    _, height, width, channels = images.shape
    return f"{width} x {height} {'grey' if channels == 1 else 'RGB'}"


def _embedded(
    embed: EmbedImages, images: Pixels, extractor: Extractor, report: Report, name: str
) -> FeatureSet:
    def report_side(done: float, total: float, stage: str) -> None:
        report(done, total, f"{stage}, {name} images")

    try:
        features = embed(images, extractor, report_side)
    except (InvalidDataset, InvalidImageSet) as error:
        raise InvalidComparison(error.detail) from error
    side = f"features of the {name} images"
    return features_of(features, extractor.weights_sha256, space_of(extractor), side)


def _described(
    measurement: Measurement, recipe: dict[str, JsonValue], classes: Classes | None
) -> Measurement:
    """A measurement with the whole recipe, its class under the name that its source gives it."""
    own = dict(measurement.recipe)
    if classes is None or "class" not in own:
        return measurement.model_copy(update={"recipe": {**own, **recipe}})
    name = classes.names[int(str(own["class"]))]
    named = {**own, "class": name, **recipe}
    return measurement.model_copy(update={"part": f"class {name}", "recipe": named})
