"""The image grid shows the right pixels in the right place."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from replicalab.storage.image_sets import ImageSet
from replicalab_metrics.figures.images import draw_image_grid, first_of_each_class

SIGMAS = {step: float(step) for step in range(101)}


def canvas_of(figure: Figure) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


def cell_of(canvas: np.ndarray, row: int, column: int, rows: int, columns: int) -> np.ndarray:
    """A cell with its gap, back at one pixel a pixel."""
    height, width = canvas.shape[0] // rows, canvas.shape[1] // columns
    cell = canvas[row * height : (row + 1) * height, column * width : (column + 1) * width]
    return cell[12:96:24, 12:96:24]  # the middle of every enlarged pixel of a 4 x 4 image


def test_rows_are_first_images_and_columns_are_steps(image_sets: dict[int, ImageSet]) -> None:
    canvas = canvas_of(draw_image_grid(image_sets[0], image_sets, SIGMAS))
    for row in range(3):
        for column, step in enumerate((0, 9, 18)):
            expected = np.repeat(image_sets[step].images[row], 3, axis=2)
            np.testing.assert_array_equal(cell_of(canvas, row, column, 3, 3), expected)


def test_the_first_image_is_the_first_of_the_split_not_of_the_file(
    image_sets: dict[int, ImageSet],
) -> None:
    real = image_sets[0]
    backwards = ImageSet(real.images[::-1], real.labels[::-1], real.indices[::-1])
    assert first_of_each_class(backwards) == [(0, 0), (1, 1), (2, 2)]


def test_reconstructions_are_found_by_index_whatever_their_order(
    image_sets: dict[int, ImageSet],
) -> None:
    fake = image_sets[9]
    shuffled = ImageSet(fake.images[::-1], fake.labels[::-1], fake.indices[::-1])
    canvas = canvas_of(draw_image_grid(image_sets[0], {9: shuffled}, SIGMAS))
    expected = np.repeat(fake.images[2], 3, axis=2)
    np.testing.assert_array_equal(cell_of(canvas, 2, 1, 3, 2), expected)


def test_an_image_that_was_not_reconstructed_stays_white(image_sets: dict[int, ImageSet]) -> None:
    fake = image_sets[9]
    partial = ImageSet(fake.images[1:], fake.labels[1:], fake.indices[1:])
    canvas = canvas_of(draw_image_grid(image_sets[0], {9: partial}, SIGMAS))
    assert (cell_of(canvas, 0, 1, 3, 2) == 255).all()


def test_colour_images_keep_their_channels(image_sets: dict[int, ImageSet]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
    colour = dataclasses.replace(image_sets[0], images=pixels)
    canvas = canvas_of(draw_image_grid(colour, {9: colour}, SIGMAS))
    np.testing.assert_array_equal(cell_of(canvas, 1, 0, 3, 2), pixels[1])


def test_the_grid_says_that_it_is_uncurated(image_sets: dict[int, ImageSet]) -> None:
    title = draw_image_grid(image_sets[0], image_sets, SIGMAS).axes[0].get_title("left")
    assert title.startswith("uncurated: first image of each class;")


@pytest.mark.parametrize(("classes", "rows"), [(1, 1), (100, 12)])
def test_many_classes_and_steps_are_cut_to_what_can_be_read(classes: int, rows: int) -> None:
    images = ImageSet(
        np.zeros((100, 4, 4, 1), dtype=np.uint8), np.arange(100) % classes, np.arange(100)
    )
    sets = dict.fromkeys(range(0, 101, 2), images)
    axes = draw_image_grid(images, sets, SIGMAS).axes[0]
    assert len(axes.get_yticks()) == rows
    assert len(axes.get_xticks()) == 11
    assert ("12 shown" in axes.get_title("left")) == (classes == 100)
