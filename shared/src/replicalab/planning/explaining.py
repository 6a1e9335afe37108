"""Tasks that make heat maps of trained classifiers."""

from replicalab.domain import artifacts
from replicalab.domain.classifiers import (
    RESIDUAL_BLOCKS,
    ClassifierSpec,
    ResidualBlock,
    map_side,
)
from replicalab.domain.measures import GradCamMeasure
from replicalab.domain.models import Seed
from replicalab.domain.tasks import Explain
from replicalab.errors import IncompatibleParts
from replicalab.planning.builder import PlanBuilder
from replicalab.planning.features import Source, TrainedClassifier, inputs_of


def block_of(measure: GradCamMeasure, classifier: ClassifierSpec, resolution: int) -> ResidualBlock:
    """The stage whose maps ``measure`` weighs.

    Args:
        measure: Names it, or leaves it to the size of the maps.
        classifier: The network.
        resolution: Of the square images, at least 2 pixels.

    Raises:
        IncompatibleParts: The maps of the stage asked for have one position, which shows no place.
    """
    sides = {block: map_side(classifier, block, resolution) for block in RESIDUAL_BLOCKS}
    deepest = max(block for block, side in sides.items() if side > 1)
    block = measure.block or deepest
    if sides[block] == 1:
        raise IncompatibleParts(
            f"Block {block} of the classifier {classifier.kind!r} makes maps of 1 x 1 from images "
            f"of {resolution} pixels, which show no place; take block {deepest} "
            f"({sides[deepest]} x {sides[deepest]}) or leave it out."
        )
    return block


def add_explanation(
    builder: PlanBuilder,
    classifier: TrainedClassifier,
    measure: GradCamMeasure,
    block: ResidualBlock,
    seed: Seed,
    test: Source,
) -> Source:
    """Add the task that makes heat maps of one classifier on real test images.

    Args:
        builder: Of the plan.
        classifier: Whose training was added before.
        measure: Says how many images of a class.
        block: Stage of the network.
        seed: Of the training.
        test: The images.
    """
    weights = (classifier.key, artifacts.CLASSIFIER_WEIGHTS)
    key = builder.add(
        Explain(
            classifier=classifier.classifier,
            classes=classifier.classes,
            block=block,
            images_per_class=measure.images_per_class,
            seed=seed,
        ),
        [*inputs_of("test", [test]), *inputs_of("classifier", [weights])],
        work=classifier.classes * measure.images_per_class,
    )
    return key, artifacts.HEAT_MAPS
