"""Improved precision and recall of a reconstructed set against both real sets."""

from collections.abc import Iterator

from replicalab.domain.measures import Measurement, MeasurementName, Reference
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.inputs import ComparedSets
from replicalab_metrics.evaluations.intervals import share_interval
from replicalab_metrics.measures.precision_recall import manifold_membership


def measure(sets: ComparedSets, place: Evaluate, neighbours: int) -> Iterator[Measurement]:
    """Precision and recall against the training set, then against the held-out test set.

    The intervals are of a share of independent images; the manifold is taken as given.
    """
    for reference in Reference:
        membership = manifold_membership(
            sets.reference(reference).features, sets.fake.features, neighbours
        )
        shares = (
            (MeasurementName.PRECISION, membership.fake_in_real, "reconstructions"),
            (MeasurementName.RECALL, membership.real_in_fake, "real images"),
        )
        for name, is_member, images in shares:
            yield Measurement(
                name=name,
                t_re=place.t_re,
                sigma=place.sigma,
                reference=reference,
                value=float(is_member.mean()),
                unit="1",
                n=len(is_member),
                n_unit="images",
                interval=share_interval(is_member, f"Wilson score over {images}"),
                recipe={**sets.recipe(reference), "neighbours": neighbours},
            )
