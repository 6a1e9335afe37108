"""Figures: what they say, that they repeat byte for byte, and that they need not have it all."""

from collections.abc import Callable

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from pydantic import JsonValue

from replicalab.domain.measures import Measurement, Reference
from replicalab.storage.image_sets import ImageSet
from replicalab.storage.projections import Projection
from replicalab_metrics.figures.accuracy import draw_accuracy
from replicalab_metrics.figures.components import draw_components
from replicalab_metrics.figures.curves import spread_evenly
from replicalab_metrics.figures.distances import draw_distances
from replicalab_metrics.figures.edges import draw_edges
from replicalab_metrics.figures.images import draw_image_grid
from replicalab_metrics.figures.real_classifier import draw_real_classifier
from replicalab_metrics.figures.style import render

Drawing = Callable[[list[Measurement]], Figure | None]

SIGMAS = {0: 0.0, 9: 0.9, 18: 80.0}

CURVES = [draw_accuracy, draw_distances, draw_real_classifier]


def draw_axes(measurements: list[Measurement]) -> list[Axes]:
    figure = draw_accuracy(measurements)
    assert figure is not None
    return figure.axes


def texts_of(figure: Figure | None) -> str:
    assert figure is not None
    found = figure.findobj(Text)
    return "\n".join(text.get_text() for text in found if isinstance(text, Text))


@pytest.mark.parametrize("draw", CURVES, ids=lambda draw: draw.__name__)
def test_equal_measurements_give_equal_bytes(draw: Drawing, sweep: list[Measurement]) -> None:
    figures = [draw(sweep), draw(sweep)]
    first, second = (render(figure) for figure in figures if figure is not None)
    assert first == second
    assert first.svg.startswith(b"<?xml")
    assert first.png.startswith(b"\x89PNG")
    assert mpl.__version__.encode() not in first.svg
    assert b"dc:date" not in first.svg


def test_equal_images_and_projections_give_equal_bytes(
    image_sets: dict[int, ImageSet], projection: Projection
) -> None:
    grids = [render(draw_image_grid(image_sets[0], image_sets, SIGMAS)) for _ in range(2)]
    assert grids[0] == grids[1]
    clouds = [draw_components(projection) for _ in range(2)]
    first, second = (render(figure) for figure in clouds if figure is not None)
    assert first == second


def test_settings_of_the_caller_neither_reach_a_figure_nor_are_changed(
    sweep: list[Measurement],
) -> None:
    plain = draw_accuracy(sweep)
    assert plain is not None
    expected = render(plain).svg
    with mpl.rc_context({"font.size": 30, "svg.hashsalt": "mine", "lines.linewidth": 9}):
        styled = draw_accuracy(sweep)
        assert styled is not None
        assert render(styled).svg == expected
        assert mpl.rcParams["font.size"] == 30


def test_the_accuracy_figure_states_seeds_and_interval(sweep: list[Measurement]) -> None:
    texts = texts_of(draw_accuracy(sweep))
    assert "mean of 3 seeds with 95 % interval (Student t)" in texts
    assert "single seeds (tested on 50 images)" in texts
    assert "accuracy on real\ntest images (share)" in texts


def bars_of(figure: Figure | None) -> list[Rectangle]:
    """Bars of the panel of falls."""
    assert figure is not None
    (bars,) = figure.axes[1].containers[1:]
    assert isinstance(bars, BarContainer)
    return list(bars)


def test_bars_begin_at_no_fall_and_end_at_the_fall_from_the_real_set(
    sweep: list[Measurement],
) -> None:
    bars = bars_of(draw_accuracy(sweep))
    assert [bar.get_y() for bar in bars] == [0, 0]
    assert [bar.get_height() for bar in bars] == pytest.approx([5, 10])
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx([9, 18])
    assert "paired differences" in texts_of(draw_accuracy(sweep))


def test_a_fall_is_taken_within_a_seed(measured: Callable[..., Measurement]) -> None:
    """Seeds that differ much, and fall alike: the interval of the falls has no width."""
    found = [
        measured("seed_accuracy", t_re, level - 0.001 * t_re, recipe={"classifier_seed": seed})
        for t_re in (0, 9)
        for seed, level in enumerate((0.95, 0.75, 0.85))
    ]
    mean = [measured("accuracy", t_re, 0.85, n=3, n_unit="seeds") for t_re in (0, 9)]
    figure = draw_accuracy([*mean, *found])
    assert figure is not None
    arms, bars = figure.axes[1].containers
    assert [bar.get_height() for bar in bars] == pytest.approx([0.9])
    assert isinstance(arms, ErrorbarContainer)
    (segment,) = arms[2][0].get_segments()
    assert segment[:, 1] == pytest.approx([0.9, 0.9])


def test_without_the_real_set_there_is_nothing_to_fall_from(sweep: list[Measurement]) -> None:
    figure = draw_accuracy([each for each in sweep if each.t_re != 0])
    assert figure is not None
    assert len(figure.axes) == 1


def test_sets_far_apart_have_bars_that_can_be_seen(measured: Callable[..., Measurement]) -> None:
    steps = (0, 1, 100)
    found = [
        measured(name, t_re, 0.9, recipe={"classifier_seed": 0})
        for name in ("accuracy", "seed_accuracy")
        for t_re in steps
    ]
    (bars,) = (c for c in draw_axes(found)[1].containers if isinstance(c, BarContainer))
    assert [bar.get_width() for bar in bars] == [1.5, 1.5]


def test_one_seed_is_not_called_an_interval(measured: Callable[..., Measurement]) -> None:
    single = [measured("accuracy", 0, 0.9, margin=None, n=1, n_unit="seeds")]
    texts = texts_of(draw_accuracy(single))
    assert "mean of 1 seed" in texts
    assert "interval" not in texts


def test_the_distance_figure_states_sizes_and_both_references(sweep: list[Measurement]) -> None:
    texts = texts_of(draw_distances(sweep))
    assert "Fréchet distance to training set (n = 60 against 50)" in texts
    assert "Fréchet distance to held-out set (n = 60 against 50)" in texts
    assert "precision, training set (n = 60)" in texts
    assert "recall, held-out set (n = 60)" in texts
    assert "bars: 95 % intervals" in texts


@pytest.mark.parametrize("kept", ["frechet_distance", "precision"])
def test_half_of_the_distance_figure_stands_alone(sweep: list[Measurement], kept: str) -> None:
    figure = draw_distances([each for each in sweep if each.name == kept])
    assert figure is not None
    assert len(figure.axes) == 1


def test_the_held_out_level_is_drawn_where_it_was_measured(
    sweep: list[Measurement], measured: Callable[..., Measurement]
) -> None:
    from_test = measured("held_out_entropy", 0, 0.03, n=50, unit="nats")
    held_out = from_test.model_copy(update={"reference": "test"})
    assert "held-out" not in texts_of(draw_real_classifier(sweep))
    texts = texts_of(draw_real_classifier([*sweep, held_out]))
    assert "entropy on held-out real images, n = 50" in texts


def test_held_out_reconstructions_are_a_line(
    sweep: list[Measurement], measured: Callable[..., Measurement]
) -> None:
    line = [
        measured("held_out_entropy", t_re, 0.03, n=50, unit="nats", reference=Reference.TEST)
        for t_re in (0, 9, 18)
    ]
    texts = texts_of(draw_real_classifier([*sweep, *line]))
    assert "entropy on held-out images, reconstructed as well, n = 50 images each" in texts
    alone = texts_of(draw_real_classifier([*sweep, line[1]]))
    assert "held-out real images" not in alone, "a single reconstructed set is no level"


@pytest.mark.parametrize("draw", CURVES, ids=lambda draw: draw.__name__)
def test_nothing_measured_is_no_figure(draw: Drawing) -> None:
    assert draw([]) is None


@pytest.mark.parametrize("draw", CURVES, ids=lambda draw: draw.__name__)
def test_a_single_set_can_be_drawn(draw: Drawing, sweep: list[Measurement]) -> None:
    figure = draw([each for each in sweep if each.t_re == 9])
    assert figure is not None
    assert render(figure).svg


def test_the_sigma_of_every_step_is_shown(sweep: list[Measurement]) -> None:
    figure = draw_accuracy(sweep)
    assert figure is not None
    top = figure.axes[0].child_axes[0]
    assert [label.get_text() for label in top.get_xticklabels()] == ["0", "0.9", "1.8"]


def test_one_component_is_no_scatter_plot(projection: Projection) -> None:
    flat = Projection(
        projection.real,
        projection.reconstructed,
        projection.explained_shares[:1],
        projection.extractor_sha256,
    )
    assert draw_components(flat) is None


def test_a_class_that_was_never_reconstructed_is_still_named(projection: Projection) -> None:
    fake = projection.reconstructed[18]
    fake.labels[:] = 0
    texts = texts_of(draw_components(projection))
    assert all(f"\n{class_}\n" in texts for class_ in (0, 1, 2))


def test_panels_name_step_sample_size_and_variance(projection: Projection) -> None:
    texts = texts_of(draw_components(projection))
    assert "$t_{re}$ = 18, n = 12" in texts
    assert "component 2 (25.0 % of the real variance)" in texts
    assert "real training images, n = 12" in texts


def test_items_spread_evenly_keep_both_ends() -> None:
    assert spread_evenly(range(100), 4) == [0, 33, 66, 99]
    assert spread_evenly([1, 2], 4) == [1, 2]


@pytest.mark.parametrize(("lowest", "bottom"), [(0.8, 0.75), (0.02, -0.03)])
def test_tenths_fill_the_axis_that_all_panels_share(
    measured: Callable[..., Measurement], lowest: float, bottom: float
) -> None:
    """Shares near 1 are told apart; the axis is wide enough for every interval."""
    recipe: dict[str, JsonValue] = {"order": "class centroid"}
    found = [
        measured(name, 9, value, reference=reference, recipe=recipe | {"tenth": tenth})
        for name in ("tenth_recall", "tenth_coverage")
        for reference in Reference
        for tenth, value in ((1, 0.99), (10, lowest))
    ]
    figure = draw_edges(found)
    assert figure is not None
    for axes in figure.axes:
        assert axes.get_ylim() == pytest.approx((bottom, 1.04))
