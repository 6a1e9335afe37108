"""Whether reconstructions copy training images: authenticity, and the nearest one."""

from collections.abc import Iterator

from replicalab.domain.measures import Measurement, MeasurementName
from replicalab.domain.tasks import Evaluate
from replicalab_metrics.evaluations.inputs import ComparedSets
from replicalab_metrics.evaluations.shares import ShareReport
from replicalab_metrics.measures.copies import nearest_real


def measure(sets: ComparedSets, place: Evaluate) -> Iterator[Measurement]:
    """Authenticity against both real sets, and how often the source is the nearest image.

    The held-out set shows how authentic images are that copy nothing of it: what is missing to
    that among training images is copied.
    """
    for reference in sets.references:
        real = sets.reference(reference)
        found = nearest_real(real.features, sets.fake.features)
        report = ShareReport(place, reference, sets.recipe(reference))
        yield report.share(MeasurementName.AUTHENTICITY, found.is_authentic, sets.words.fakes)
        if sets.are_paired(reference):
            sources = sets.squared_distances_to_sources()
            yield report.share(
                MeasurementName.SOURCE_NEAREST, sources <= found.squared, "reconstructions"
            )
