"""Whether two classifiers look at the same places of an image."""

import numpy as np
from jaxtyping import Bool, Float32, Float64
from PIL import Image

from replicalab_metrics.measures.inputs import UnmeasurableInput, check_finite

ROUNDING = 1e-6
"""Differences within a map below this share of its maximum are float32's."""

HeatMaps = Float32[np.ndarray, "image row column"]
OtherMaps = Float32[np.ndarray, "other other_row other_column"]
Regions = Bool[np.ndarray, "image pixel_row pixel_column"]
OtherRegions = Bool[np.ndarray, "other other_pixel_row other_pixel_column"]


def are_constant(maps: HeatMaps) -> Bool[np.ndarray, " image"]:
    """Whether a map is the same everywhere: all zero, mostly. It shows no place.

    Raises:
        UnmeasurableInput: Values are not finite, or below 0.
    """
    check_finite(maps, "heat maps")
    if (maps < 0).any():
        raise UnmeasurableInput("Heat maps must not be below 0.")
    highest, lowest = maps.max(axis=(1, 2)), maps.min(axis=(1, 2))
    constant: Bool[np.ndarray, " image"] = highest - lowest <= ROUNDING * highest
    return constant


def map_correlations(maps: HeatMaps, others: OtherMaps) -> Float64[np.ndarray, " image"]:
    """Pearson's correlation over positions of every map with the other of its image, -1 to 1.

    Raises:
        UnmeasurableInput: The maps do not pair up, or one is constant: it has no correlation.
    """
    _check_pairs(maps, others)
    if are_constant(maps).any() or are_constant(others).any():
        raise UnmeasurableInput("A constant heat map has no correlation.")
    left, right = _standardised(maps), _standardised(others)
    found: Float64[np.ndarray, " image"] = (left * right).sum(axis=1).clip(-1, 1)
    return found


def enlarged(
    maps: HeatMaps, size: tuple[int, int]
) -> Float32[np.ndarray, "image pixel_row pixel_column"]:
    """Every map at the size of its image, bilinear; antialiased should it shrink.

    Args:
        maps: At the resolution of a block.
        size: Height and width of the images, pixels.
    """
    height, width = size
    return np.stack(
        [
            np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.BILINEAR))
            for each in maps
        ]
    )


def top_regions(maps: HeatMaps, size: tuple[int, int], share: float) -> Regions:
    """The pixels of an image where its enlarged map is highest.

    As many as ``share`` of the image, at least one. Pixels as high as the last of them belong to
    the region too, and pixels where the map is 0 never do, so that no order of pixels decides.

    Args:
        maps: At the resolution of a block.
        size: Height and width of the images, pixels.
        share: Of the area, between 0 and 1.
    """
    pixels = enlarged(maps, size).reshape(len(maps), -1)
    count = max(1, round(share * pixels.shape[1]))
    thresholds = np.partition(pixels, -count, axis=1)[:, -count]
    regions: Regions = (pixels >= thresholds[:, None]) & (pixels > 0)
    return regions.reshape(len(maps), *size)


def overlaps(regions: Regions, others: OtherRegions) -> Float64[np.ndarray, " image"]:
    """Intersection over union of every region with the other of its image, 0 to 1.

    Raises:
        UnmeasurableInput: The regions do not pair up, or both of an image are empty.
    """
    _check_pairs(regions, others)
    unions = (regions | others).sum(axis=(1, 2))
    if not unions.all():
        raise UnmeasurableInput("Two empty regions have no overlap.")
    found: Float64[np.ndarray, " image"] = (regions & others).sum(axis=(1, 2)) / unions
    return found


def _standardised(maps: HeatMaps) -> Float64[np.ndarray, "image position"]:
    """Mean 0 and length 1 for every map."""
    values = maps.reshape(len(maps), -1).astype(np.float64)
    centred = values - values.mean(axis=1, keepdims=True)
    found: Float64[np.ndarray, "image position"] = centred / np.linalg.norm(
        centred, axis=1, keepdims=True
    )
    return found


def _check_pairs(left: np.ndarray, right: np.ndarray) -> None:
    if left.shape != right.shape:
        raise UnmeasurableInput(
            f"Heat maps of shape {left.shape} and {right.shape} do not belong to the same images "
            "and block."
        )
