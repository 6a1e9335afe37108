"""The figure of fake detection: both domains, their intervals, and chance."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from replicalab.domain.measures import Measurement
from replicalab_metrics.figures.detection import draw_detection
from replicalab_metrics.figures.style import render

Measured = Callable[..., Measurement]


@pytest.fixture
def detected(measured: Measured) -> list[Measurement]:
    return [
        measured(f"{domain}_detection_accuracy", t_re, value, n=3, n_unit="seeds")
        for domain, values in (("pixel", (0.55, 0.7)), ("dct", (0.6, 0.9)))
        for t_re, value in zip((9, 18), values, strict=True)
    ]


def drawn(measurements: list[Measurement]) -> tuple[Figure, str]:
    figure = draw_detection(measurements)
    assert figure is not None
    texts = [each.get_text() for each in figure.findobj(Text) if isinstance(each, Text)]
    return figure, "\n".join(texts)


def test_both_domains_are_drawn_with_seeds_intervals_and_chance(
    detected: list[Measurement],
) -> None:
    figure, texts = drawn(detected)
    assert "pixels, mean of 3 seeds" in texts
    assert "DCT, mean of 3 seeds" in texts
    assert "bars: 95 % intervals (Student t)" in texts
    low, high = figure.axes[0].get_ylim()
    assert low < 0.5 < 1 < high
    assert "chance" in texts
    (chance,) = [line for line in figure.axes[0].lines if line.get_label() == "chance"]
    assert np.unique(chance.get_ydata()).tolist() == [0.5]


def test_one_domain_and_one_set_can_be_drawn(detected: list[Measurement]) -> None:
    _, texts = drawn(detected[3:])
    assert "DCT" in texts
    assert "pixels, " not in texts


def test_one_seed_is_not_called_an_interval(measured: Measured) -> None:
    _, texts = drawn([measured("dct_detection_accuracy", 9, 0.6, margin=None, n=1, n_unit="seeds")])
    assert "mean of 1 seed" in texts
    assert "interval" not in texts


def test_equal_measurements_give_equal_bytes_and_none_no_figure(
    detected: list[Measurement],
) -> None:
    first, second = (render(drawn(detected)[0]) for _ in range(2))
    assert first == second
    assert draw_detection([]) is None
