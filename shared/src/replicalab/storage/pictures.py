"""Image files as arrays, whoever made them: nothing that a file claims is believed unseen."""

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from replicalab.file_errors import ImageLimits, InvalidDataset

GREY_MODES = {"1", "L", "LA"}
COLOUR_MODES = {"P", "RGB", "RGBA", "CMYK", "YCbCr"}

Form = tuple[int, int, bool]
"""Width, height, whether it is grey."""


@contextmanager
def opened(
    source: Path | BinaryIO, name: str, formats: Collection[str], most_pixels: int | None = None
) -> Iterator[Image.Image]:
    """An image whose header is read, and whose pixels are once they are asked for.

    Args:
        source: The file.
        name: What the user calls it.
        formats: Those that are read, as Pillow calls them.
        most_pixels: The header may claim; Pillow's own limit where left out.

    Raises:
        InvalidDataset: It is no such image, is broken, or is of a form that is not read.
        ImageLimits: It claims more pixels than that.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=tuple(formats)) as image:
                width, height = image.size
                if most_pixels is not None and width * height > most_pixels:
                    raise ImageLimits(
                        f"{name} claims to have {width} x {height} pixels; at most "
                        f"{most_pixels:,} are read."
                    )
                if image.mode not in GREY_MODES | COLOUR_MODES:
                    raise InvalidDataset(f"{name} has pixels of the form {image.mode}.")
                yield image
    except UnidentifiedImageError as error:
        raise InvalidDataset(f"{name} is not an image ({', '.join(formats)} are read).") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageLimits(f"{name} claims to be too large: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidDataset(f"{name} cannot be read as an image: {error}") from error


def form_of(image: Image.Image) -> Form:
    """Size and colour, from the header."""
    return (*image.size, image.mode in GREY_MODES)


def pixels_of(image: Image.Image, *, resolution: int, channels: int) -> npt.NDArray[np.uint8]:
    """The middle square, resized (Lanczos), grey or RGB, opacity left out.

    Returns:
        uint8, (resolution, resolution, channels).
    """
    converted = image.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(_square(converted, resolution))
    return pixels.reshape(resolution, resolution, channels)


def whole_pixels_of(image: Image.Image, *, channels: int) -> npt.NDArray[np.uint8]:
    """Every pixel as it is, grey or RGB, opacity left out.

    Returns:
        uint8, (height, width, channels).
    """
    converted = image.convert("L" if channels == 1 else "RGB")
    return np.asarray(converted).reshape(image.height, image.width, channels)


def _square(image: Image.Image, resolution: int) -> Image.Image:
    width, height = image.size
    if width == height == resolution:
        return image
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((resolution, resolution), Image.Resampling.LANCZOS, box=box)
