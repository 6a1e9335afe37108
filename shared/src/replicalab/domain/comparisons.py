"""Which measurements may be compared."""

from replicalab.domain.measures import Measurement

DEFINING = ("name", "version", "reference", "part", "unit")


def unlike_fields(left: Measurement, right: Measurement) -> list[str]:
    """What keeps two values from being compared; empty where nothing does.

    Values are comparable when they are the same number of different sets: equal name, version,
    reference and unit, and equal recipes (extractor, set sizes, neighbours, ...).
    """
    unlike = [name for name in DEFINING if getattr(left, name) != getattr(right, name)]
    recipes = left.recipe, right.recipe
    entries = [*recipes[0], *(entry for entry in recipes[1] if entry not in recipes[0])]
    missing = object()
    return unlike + [
        f"recipe.{entry}"
        for entry in entries
        if recipes[0].get(entry, missing) != recipes[1].get(entry, missing)
    ]
