"""One class over the sets: the one that moves furthest, and what its ellipses are."""

import numpy as np
import pytest
from matplotlib.patches import Ellipse
from matplotlib.text import Text

from replicalab.storage.projections import ProjectedSet, Projection
from replicalab_metrics.figures.class_components import class_moved_furthest, draw_class_components
from replicalab_metrics.figures.style import render

EXTRACTOR = "e" * 64


def projected(shifts: tuple[float, ...], *, n: int = 30, scale: float = 1.0) -> ProjectedSet:
    """``n`` points a class around (class, 0), each class moved up by its shift."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(shifts)), n)
    points = scale * rng.standard_normal((len(labels), 2))
    points += np.stack([labels, np.array(shifts)[labels]], axis=1)
    return ProjectedSet(points.astype(np.float32), labels)


def projection_of(**sets: tuple[float, ...]) -> Projection:
    """Sets by ``t<step>``, over a real one that is moved nowhere."""
    classes = len(next(iter(sets.values())))
    return Projection(
        projected((0.0,) * classes),
        {int(name[1:]): projected(shifts) for name, shifts in sets.items()},
        np.array([0.5, 0.25]),
        EXTRACTOR,
    )


def titles_of(projection: Projection) -> list[str]:
    figure = draw_class_components(projection)
    assert figure is not None
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_the_class_is_the_one_that_has_moved_furthest_at_the_end() -> None:
    found = projection_of(t9=(9.0, 0.0, 0.0), t18=(0.0, -2.0, 1.0))
    assert class_moved_furthest(found) == 1
    figure = draw_class_components(found)
    assert figure is not None
    texts = [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]
    assert "class 1, whose mean moves furthest" in texts


def test_of_equals_the_lowest_class_is_drawn() -> None:
    assert class_moved_furthest(projection_of(t18=(0.0, 0.0))) == 0


def test_three_sets_are_shown_from_little_to_much_noise() -> None:
    sets = {f"t{step}": (0.0, 1.0) for step in (0, 3, 6, 9, 12)}
    titles = titles_of(projection_of(**sets))
    assert titles == [
        "$t_{re}$ = 0 (real), n = 30",
        "$t_{re}$ = 6, n = 30",
        "$t_{re}$ = 12, n = 30",
    ]


def test_a_single_set_is_one_panel() -> None:
    assert titles_of(projection_of(t7=(0.0, 1.0))) == ["$t_{re}$ = 7, n = 30"]


def test_ellipses_are_two_standard_deviations_of_the_points() -> None:
    rng = np.random.default_rng(1)
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    wide = (rng.standard_normal((20_000, 2)) * (3, 1)) @ turn.T + (5, -2)
    cloud = ProjectedSet(wide.astype(np.float32), np.zeros(len(wide), dtype=np.int64))
    figure = draw_class_components(Projection(cloud, {9: cloud}, np.array([0.6, 0.2]), EXTRACTOR))
    assert figure is not None
    ellipse, _ = (each for each in figure.axes[0].patches if isinstance(each, Ellipse))
    assert ellipse.get_center() == pytest.approx((5, -2), abs=0.1)
    lengths = sorted([ellipse.get_width(), ellipse.get_height()])
    assert lengths == pytest.approx([2 * 2 * 1, 2 * 2 * 3], rel=0.03)
    long_side = ellipse.get_angle() + (90 if ellipse.get_height() > ellipse.get_width() else 0)
    assert long_side % 180 == pytest.approx(np.degrees(0.5), abs=1)


def test_classes_without_a_spread_somewhere_cannot_be_drawn() -> None:
    found = projection_of(t18=(5.0, 1.0))
    found.reconstructed[18].labels[:29] = 1
    assert class_moved_furthest(found) == 1, "class 0 has one reconstruction left"
    found.reconstructed[18].labels[:] = 7
    assert draw_class_components(found) is None


@pytest.mark.parametrize("components", [0, 1])
def test_fewer_than_two_components_are_no_picture(components: int) -> None:
    found = projection_of(t18=(5.0, 1.0))
    flat = Projection(
        found.real, found.reconstructed, found.explained_shares[:components], EXTRACTOR
    )
    assert draw_class_components(flat) is None


def test_equal_projections_give_equal_bytes() -> None:
    figures = [draw_class_components(projection_of(t9=(0.0, 1.0))) for _ in range(2)]
    first, second = (render(figure) for figure in figures if figure is not None)
    assert first == second
