"""How every number was made: definitions, and the recipes that make values comparable."""

from collections.abc import Sequence
from dataclasses import dataclass

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab_metrics.reports.wording import MEASURE_WORDS, format_unit

DEFINITIONS = {
    MeasurementName.ACCURACY: (
        "Classification accuracy score (Ravuri & Vinyals 2019): share of real test images that "
        "classifiers trained on the set name correctly; mean over training seeds, Student's t "
        "interval over seeds, cut to [0, 1]."
    ),
    MeasurementName.FRECHET_DISTANCE: (
        "Squared Fréchet distance between Gaussian fits of two sets of features (Heusel et al. "
        "2017), float64 throughout. Its upward bias at finite n is not removed: compare values "
        "at equal n only. The interval is a delete-a-group jackknife over images, class sizes "
        "taken as given."
    ),
    MeasurementName.PRECISION: (
        "Share of the set's images within the k-nearest-neighbour balls of real images "
        "(Kynkäänniemi et al. 2019). Wilson interval, the balls taken as given."
    ),
    MeasurementName.RECALL: (
        "Share of real images within the k-nearest-neighbour balls of the set's images "
        "(Kynkäänniemi et al. 2019). Wilson interval, the balls taken as given."
    ),
    MeasurementName.REAL_CLASSIFIER_ACCURACY: (
        "The reverse of the accuracy score: share of the set's images that the classifier "
        "trained on real images (first seed) gives the class of their original. Wilson interval "
        "over images."
    ),
    MeasurementName.REAL_CLASSIFIER_ENTROPY: (
        "Mean entropy of that classifier's softmax output, in nats. Student's t interval over "
        "images."
    ),
    MeasurementName.HELD_OUT_ENTROPY: (
        "The same on held-out images, which that classifier has not seen: the real ones at t_re 0, "
        "and where the study asks for it their reconstructions at every other, with noise of "
        "their own."
    ),
    MeasurementName.KERNEL_DISTANCE: (
        "Squared maximum mean discrepancy under a cubic kernel (KID, Binkowski et al. 2018), "
        "unbiased, of all images: an image is not compared with its own reconstruction, and "
        "class sizes are taken as given. Negative values mean that the sets hardly differ. Normal "
        "interval from the analytic error of the estimate over draws of both sets."
    ),
    MeasurementName.KERNEL_DISTANCE_OF_SUBSETS: (
        "The same as the mean over random subsets, as most code reports it. Subsets share "
        "images, so that no interval follows from their spread."
    ),
    MeasurementName.DENSITY: (
        "Real k-nearest-neighbour balls that hold an image of the set, over k, in the mean "
        "(Naeem et al. 2020): 1 where the set is as dense as the real one. Student's t "
        "interval, the balls taken as given."
    ),
    MeasurementName.COVERAGE: (
        "Share of real images whose k-nearest-neighbour ball holds an image of the set (Naeem "
        "et al. 2020). Wilson interval, the balls taken as given."
    ),
    MeasurementName.RIM_RECALL: (
        "Recall of the tenth of the real images of every class that is furthest from the class "
        "centroid: whether the set still reaches unusual images."
    ),
    MeasurementName.RIM_COVERAGE: "Coverage of the same tenth.",
    MeasurementName.TENTH_RECALL: (
        "Recall of every tenth of the real images of a class, from the core to the rim, ordered "
        "by the distance to the class centroid and by that to the k-th neighbour."
    ),
    MeasurementName.TENTH_COVERAGE: "Coverage of the same tenths.",
    MeasurementName.CENTROID_DISTANCE_RATIO: (
        "Mean distance of the set's images to the centroid of their class in the training set, "
        "over that of real images: below 1 the set crowds in the core. Student's t interval, "
        "centroids and real distances taken as given."
    ),
    MeasurementName.ALPHA_PRECISION: (
        "Whether the set has as many images within every quantile ball around the real mean as "
        "the real set (Alaa et al. 2022), 1 where it has; on the features themselves."
    ),
    MeasurementName.BETA_RECALL: (
        "Whether real images are reached by as typical images of the set (Alaa et al. 2022)."
    ),
    MeasurementName.AUTHENTICITY: (
        "Share of the set's images that are further from their nearest real image than that is "
        "from another real one (Alaa et al. 2022). Copies lower it, and so do crowded images: "
        "compare with the share against the held-out set, which nothing copies."
    ),
    MeasurementName.SOURCE_NEAREST: (
        "Share of the set's images to which no training image is nearer than the one they were "
        "made from. Wilson interval over images."
    ),
    MeasurementName.VENDI_SCORE: (
        "Effective number of different images: exponential of the entropy of the eigenvalues of "
        "their cosine matrix (Friedman & Dieng 2023). It grows with n: compare at equal n only."
    ),
    MeasurementName.FEATURE_LIKELIHOOD_DIVERGENCE: (
        "How much worse held-out images are explained by Gaussians around the set's images, of "
        "widths fitted to the training set, than by ones around real images (Jiralerspong et "
        "al. 2023). Copies of training images explain nothing else and make it very large."
    ),
    MeasurementName.CLASS_FLIP_RATE: (
        "Share of the set's images that the classifier trained on real images gives another "
        "class than it gives their original. Wilson interval over images."
    ),
    MeasurementName.PIXEL_DETECTION_ACCURACY: (
        "Share of originals and reconstructions, half of each, that a classifier trained on those "
        "of other images tells for what they are; 50 % is chance. No image whose counterpart was "
        "learnt from is tested. Mean over training seeds on the same images, Student's t interval "
        "over seeds, cut to [0, 1]: it does not include that other test images would have given "
        "another value; intervals of single seeds do."
    ),
    MeasurementName.PIXEL_DETECTION_AUC: (
        "Share of pairs of an original and a reconstruction, whatever their sources, of which the "
        "reconstruction looks more like one to that classifier (area under the ROC curve, ties "
        "counted half); 50 % is chance. Interval as before."
    ),
    MeasurementName.DCT_DETECTION_ACCURACY: (
        "The same of a classifier that sees log magnitudes of the image's discrete cosine "
        "transform (Frank et al. 2020), each standardised by the images learnt from."
    ),
    MeasurementName.DCT_DETECTION_AUC: "The area under that classifier's ROC curve.",
    MeasurementName.HEAT_MAP_CORRELATION: (
        "Pearson's correlation, over the positions of a map, of the Grad-CAM heat maps "
        "(Selvaraju et al. 2017) that models trained on the set and on the real set have of the "
        "same real test image, for the class it is labelled with; mean over images, then over "
        "pairs of models of unlike seeds (of the same seed where there is one). At t_re 0 it is "
        "the agreement of real-trained models with each other, which others are read against. "
        "Jackknife interval over seeds. Pairs with a constant map are left out."
    ),
    MeasurementName.HEAT_MAP_OVERLAP: (
        "Intersection over union of the top shares of the same maps, brought bilinearly to the "
        "size of the image; two random regions of share s have s / (2 - s)."
    ),
    MeasurementName.CONSTANT_HEAT_MAPS: (
        "Share of those maps that are the same everywhere, mostly 0: nothing speaks for the "
        "class, and no place can be compared. Student's t interval over seeds."
    ),
}

NOT_LISTED = frozenset({"space", "extractor_sha256", "class", "order", "tenth"})
"""One space and extractor stand for the whole study, named above the list; parts are in the
exports."""


@dataclass(frozen=True, slots=True)
class Method:
    """A measure, its definition, and the recipes its values were made by."""

    measure: str
    unit: str
    definition: str
    recipes: list[str]


def methods(measurements: Sequence[Measurement]) -> list[Method]:
    """One entry for every defined measure that was taken."""
    return [
        _method(taken, definition)
        for name, definition in DEFINITIONS.items()
        if (taken := [each for each in measurements if each.name == name])
    ]


def _method(taken: list[Measurement], definition: str) -> Method:
    first = taken[0]
    return Method(
        MEASURE_WORDS[MeasurementName(first.name)],
        format_unit(first.unit),
        definition,
        list(dict.fromkeys(_recipe(each) for each in taken)),
    )


def _recipe(measurement: Measurement) -> str:
    parts = [f"version {measurement.version}"]
    if measurement.reference:
        parts.append(f"reference {measurement.reference}")
    parts += [
        f"{key} {_text(value)}"
        for key, value in measurement.recipe.items()
        if key not in NOT_LISTED
    ]
    if measurement.interval:
        interval = measurement.interval
        parts.append(f"{100 * interval.level:.0f} % interval: {interval.method}")
    return ", ".join(parts)


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
