"""Real images beside generated ones, in one call."""

from collections.abc import Sequence

from pydantic import JsonValue

from replicalab.comparisons import parts
from replicalab.comparisons.choices import UNLABELLED_MEASURES, check_unlabelled
from replicalab.comparisons.parts import EmbedImages, Report
from replicalab.comparisons.sides import Source, features_of, read_side
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
    extractor: Extractor | None = None,
    report: Report = _silent,
) -> list[Measurement]:
    """Measure a generated set beside a real one; no service is asked.

    Args:
        real: Folder of images, .npy or .npz file, or array: uint8 images, (image, height, width)
            with or without channels at the end, or floating-point features, (image, dimension).
        fake: The same of generated images, none of them made from one of the real ones.
        measures: Those of ``UNLABELLED_MEASURES``, with options of your own.
        extractor: The network that images are compared in; Inception-v3 as in FID by default.
        report: Takes (done, total, stage), often; may raise to stop.

    Returns:
        Measurements with value, n, interval and recipe, in the order of ``measures``.

    Raises:
        InvalidComparison: A side is not what it should be, or the two are unlike in kind.
        InvalidMeasureInput: Unlike extractors, too few images for a measure, or features that
            are constant.
        WeightsUnavailable: The file of the network's weights is not in the weights folder.
        ModuleNotFoundError: The package of the measures, or of the networks, is not installed.
    """
    check_unlabelled(measures)
    measure = parts.comparing()
    sides = read_side(real), read_side(fake)
    match sides:
        case (FeatureSet() as real_features, FeatureSet() as fake_features):
            if extractor is not None:
                raise InvalidComparison("A network is for images, and these are features already.")
            recipe: dict[str, JsonValue] = {}
        case (FeatureSet(), _) | (_, FeatureSet()):
            raise InvalidComparison("One side is features and the other one images.")
        case (real_images, fake_images):
            network = extractor or DEFAULT_EXTRACTOR
            embed = parts.embedding()
            real_features = _embedded(embed, real_images, network, report, "real")
            fake_features = _embedded(embed, fake_images, network, report, "fake")
            recipe = {
                "resize": resize_of(network),
                "real_form": form_of(real_images),
                "fake_form": form_of(fake_images),
            }
    found = measure(real_features, fake_features, tuple(measures), report)
    return [_with_recipe(measurement, recipe) for measurement in found]


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


def _with_recipe(measurement: Measurement, recipe: dict[str, JsonValue]) -> Measurement:
    return measurement.model_copy(update={"recipe": {**measurement.recipe, **recipe}})
