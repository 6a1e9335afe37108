"""The grid of heat maps lays the right map over the right image and names wrong answers."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from replicalab.storage.heat_maps import HeatMaps
from replicalab.storage.image_sets import ImageSet
from replicalab_metrics.figures.heat_maps import draw_heat_maps
from replicalab_metrics.figures.style import render

SIGMAS = {step: float(step) for step in range(101)}
CLASSES, SIDE = 3, 4
CELL, PITCH = 96, 104


@pytest.fixture
def images() -> ImageSet:
    """The first test image of three classes, each of one grey."""
    greys = np.array([0, 100, 250], dtype=np.uint8)
    pixels = np.broadcast_to(greys[:, None, None, None], (CLASSES, SIDE, SIDE, 1)).copy()
    return ImageSet(pixels, np.arange(CLASSES), np.array([4, 2, 9]))


@pytest.fixture
def maps() -> HeatMaps:
    """One warm corner an image, the class's number from the upper left."""
    heat = np.zeros((CLASSES, SIDE, SIDE), dtype=np.float32)
    for class_ in range(CLASSES):
        heat[class_, class_, class_] = 5
    labels = np.arange(CLASSES)
    indices, size = np.array([4, 2, 9]), np.array([SIDE, SIDE])
    return HeatMaps(heat, labels, labels, indices, size, 2, 0, "c" * 64)


def cell_of(figure: Figure, row: int, column: int) -> np.ndarray:
    """A cell at one pixel a pixel of its image."""
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    top, left, half = row * PITCH, column * PITCH, CELL // SIDE // 2
    cell = canvas[top : top + CELL, left : left + CELL]
    return cell[half :: CELL // SIDE, half :: CELL // SIDE]


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]


def test_columns_are_the_image_the_real_model_and_every_set(
    images: ImageSet, maps: HeatMaps
) -> None:
    figure = draw_heat_maps(images, {0: maps, 9: maps, 18: maps}, SIGMAS)
    heads = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert heads == ["image\n", "0 (real)\n0", "9\n9", "18\n18"]
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == ["class 0", "class 1", "class 2"]


def test_a_cell_is_half_the_image_and_half_the_heat(images: ImageSet, maps: HeatMaps) -> None:
    reversed_order = dataclasses.replace(
        maps, maps=maps.maps[::-1], labels=maps.labels[::-1], indices=maps.indices[::-1]
    )
    warm, cold = (255 * np.array(mpl.colormaps["inferno"](share)[:3]) for share in (1.0, 0.0))
    for found in (maps, reversed_order):
        figure = draw_heat_maps(images, {0: found}, SIGMAS)
        for class_ in range(CLASSES):
            grey = float(images.images[class_, 0, 0, 0])
            np.testing.assert_array_equal(cell_of(figure, class_, 0), grey)
            cell = cell_of(figure, class_, 1)
            np.testing.assert_allclose(cell[class_, class_], (grey + warm) / 2, atol=0.51)
            np.testing.assert_allclose(cell[3, 0], (grey + cold) / 2, atol=0.51)


def test_wrong_answers_and_maps_without_a_place_are_said(images: ImageSet, maps: HeatMaps) -> None:
    assert not [
        text for text in texts_of(draw_heat_maps(images, {0: maps}, SIGMAS)) if "says" in text
    ]
    heat = maps.maps.copy()
    heat[2] = 0
    wrong = dataclasses.replace(maps, predictions=np.array([0, 7, 1]), maps=heat)
    texts = texts_of(draw_heat_maps(images, {0: maps, 9: wrong}, SIGMAS))
    assert [text for text in texts if "says" in text] == ["says 7", "says 1\nno place"]


def test_equal_maps_give_equal_bytes(images: ImageSet, maps: HeatMaps) -> None:
    first, again = (render(draw_heat_maps(images, {0: maps}, SIGMAS)) for _ in range(2))
    assert first == again


def test_many_classes_and_sets_are_cut_to_what_can_be_read() -> None:
    labels = np.arange(40)
    pixels = np.zeros((40, SIDE, SIDE, 3), dtype=np.uint8)
    heat = np.ones((40, 2, 2), dtype=np.float32)
    found = HeatMaps(heat, labels, labels, labels, np.array([SIDE, SIDE]), 2, 0, "c" * 64)
    sets = dict.fromkeys(range(0, 101, 2), found)
    axes = draw_heat_maps(ImageSet(pixels, labels, labels), sets, SIGMAS).axes[0]
    assert (len(axes.get_yticks()), len(axes.get_xticks())) == (12, 11)
    assert "12 shown" in axes.get_title("left")
