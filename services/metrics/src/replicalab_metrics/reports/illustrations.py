"""The figures of a report, with what they show in words."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from replicalab_metrics.figures.accuracy import draw_accuracy
from replicalab_metrics.figures.class_components import draw_class_components
from replicalab_metrics.figures.classes import draw_classes
from replicalab_metrics.figures.components import draw_components
from replicalab_metrics.figures.detection import draw_detection
from replicalab_metrics.figures.distances import draw_distances
from replicalab_metrics.figures.edges import draw_edges
from replicalab_metrics.figures.heat_maps import draw_heat_maps
from replicalab_metrics.figures.images import draw_image_grid
from replicalab_metrics.figures.quality import draw_quality
from replicalab_metrics.figures.real_classifier import draw_real_classifier
from replicalab_metrics.figures.style import RenderedFigure, render
from replicalab_metrics.reports.study import Study


@dataclass(frozen=True, slots=True)
class Illustration:
    """A figure as files, under a slug, with its caption and its text alternative."""

    slug: str
    caption: str
    alternative: str
    files: RenderedFigure


def illustrations(study: Study) -> Iterator[Illustration]:
    """Every figure the study has the numbers for, one at a time."""
    for slug, draw, caption, alternative in ILLUSTRATIONS:
        figure = draw(study)
        if figure is not None:
            yield Illustration(slug, caption, alternative, render(figure))


def _image_grid(study: Study) -> Figure:
    return draw_image_grid(study.real, study.reconstructed, _sigmas(study, study.reconstructed))


def _heat_maps(study: Study) -> Figure | None:
    if study.test is None:
        return None
    return draw_heat_maps(study.test, study.heat_maps, _sigmas(study, study.heat_maps))


def _sigmas(study: Study, steps: Iterable[int]) -> dict[int, float]:
    """Start noise level by ``t_re``."""
    return {t_re: study.spec.sampler.start_sigma(t_re) for t_re in steps}


def _components(study: Study) -> Figure | None:
    return draw_components(study.projection) if study.projection else None


def _class_components(study: Study) -> Figure | None:
    return draw_class_components(study.projection) if study.projection else None


_Drawing = Callable[[Study], Figure | None]

ILLUSTRATIONS: tuple[tuple[str, _Drawing, str, str], ...] = (
    (
        "images",
        _image_grid,
        "Real images and their reconstructions. A row is one image, a column one t_re; the noise "
        "added to an image is the same in every column, so a row shows when the image stops "
        "being itself. Uncurated: the first image of each class.",
        "Grid of images: one row a class, the real image on the left, then its reconstruction "
        "at every t_re.",
    ),
    (
        "accuracy",
        lambda study: draw_accuracy(study.measurements),
        "Accuracy, on real test images, of classifiers trained on each set, and by how much it "
        "falls below that of the real set: bars begin at 0, no fall. A fall is taken within a "
        "training seed, so its interval is free of what all runs of a seed share. Crosses are "
        "single training runs.",
        "Line chart of accuracy against t_re, and below it bars of the fall from the real set; "
        "the values are in the table of results.",
    ),
    (
        "distances",
        lambda study: draw_distances(study.measurements),
        "Fréchet distance (left axis) and improved precision and recall (right axis) of each "
        "set, against the images it was made from and against real images held out.",
        "Line chart of Fréchet distance, precision and recall against t_re; the values are in "
        "the table of results.",
    ),
    (
        "real-classifier",
        lambda study: draw_real_classifier(study.measurements),
        "What a classifier trained on the real images answers for each set: how sure it is "
        "(entropy; less is surer) and how often it names the class of the original. Held-out "
        "images are those it has not seen.",
        "Two line charts against t_re: mean output entropy and accuracy of the real-trained "
        "classifier; the values are in the table of results.",
    ),
    (
        "quality",
        lambda study: draw_quality(study.measurements),
        "Further measures of fidelity, diversity and copying, each set against the images it was "
        "made from and against real images held out.",
        "Small line charts against t_re, one a measure; the values are in the table of results.",
    ),
    (
        "edges",
        lambda study: draw_edges(study.measurements),
        "Recall and coverage of real images by how typical they are: every class in ten tenths by "
        "distance to its centroid, 1 the core, 10 the rim. Lines that fall to the right have lost "
        "the rim.",
        "Four line charts, recall and coverage of training and held-out images over the tenths "
        "of every class, one line a t_re; the values are in results.csv.",
    ),
    (
        "classes",
        lambda study: draw_classes(study.measurements),
        "Precision and recall class by class, against the training set.",
        "Two tables of shades, precision and recall: a row a class, a column a t_re; the values "
        "are in results.csv.",
    ),
    (
        "detection",
        lambda study: draw_detection(study.measurements),
        "How often a classifier tells originals from reconstructions that it has not learnt from, "
        "by their pixels and by their discrete cosine transform. At the dotted line it guesses.",
        "Line chart against t_re: accuracy of fake detection by pixels and by DCT, and chance; the "
        "values are in the table of results.",
    ),
    (
        "components",
        _components,
        "Features on the two main components of the real training images. Where blue no longer "
        "reaches the grey rim, the reconstructions have lost it.",
        "Scatter plots, one a t_re: reconstructed features over real ones on two components.",
    ),
    (
        "class-components",
        _class_components,
        "One class alone on the same components, at little, middle and much noise: the one whose "
        "mean moves furthest by the last t_re, so others move less. Ellipses are two standard "
        "deviations; one that shrinks within the other has lost the rim of the class.",
        "Scatter plots, one a t_re: reconstructed features of one class over its real ones.",
    ),
    (
        "grad-cam",
        _heat_maps,
        "Where classifiers trained on each set find the class of real test images (Grad-CAM): "
        "bright places speak for the class the image is labelled with. A row is one image, a "
        "column the model of the first seed trained on that set; what it answers stands in the "
        "cell where it is wrong. Every map is scaled by its own maximum, so compare places, not "
        "brightness. Uncurated: the first test image of each class.",
        "Grid of images: one row a class, a real test image on the left, then the same image "
        "under the heat map of the model trained on the real set and on every other set.",
    ),
)
