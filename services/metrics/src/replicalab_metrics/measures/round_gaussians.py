"""Mixtures of equally weighted round Gaussians around given centres, one variance a centre.

In many dimensions few components explain a sample at all: logarithms of all are taken in float32,
and only those that float64 sums would notice are taken in float64. Memory is one float32 number for
every pair of sample and centre while variances are fitted, some strips of rows otherwise.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int

from replicalab_metrics.measures.distance_strips import squared_distances
from replicalab_metrics.measures.tiles import pairs_where

MOST_STEPS = 50

TOLERANCE = 1e-3
"""Relative change of the variances below which the iteration ends."""

LEAST_VARIANCE = 1e-6
"""Of a component, in variances of the samples' scale: what a copy would make zero."""

STRIP_ROWS = 64
"""Rows at a time, which should stay in the processor's cache."""

MOST_CHOSEN_SHARE = 0.1
"""Of a strip; where more components count, it is quicker to take all."""

REACH = 50.0
"""Terms below e^-50 of the largest vanish in the rounding of a float64 sum of 10,000."""

LEAST_LOG = -750.0
"""What is less likely than e^-750 is 0 in float64."""

Samples = Float64[np.ndarray, "sample dim"]
Centres = Float64[np.ndarray, "centre dim"]
Strip = Float32[np.ndarray, "strip centre"]


def fitted_variances(centres: Centres, samples: Samples) -> Float64[np.ndarray, " centre"]:
    """Variance of every component at a maximum of the likelihood of ``samples``.

    By expectation-maximisation from the squared distance to the nearest sample. A broad component
    around the mean of the samples takes what no centre explains.
    """
    dimension = samples.shape[1]
    squared = np.empty((len(samples), len(centres)), dtype=np.float32)
    for rows, strip in squared_distances(samples, centres):
        squared[rows] = strip
    to_mean = np.square(samples - samples.mean(axis=0)).sum(axis=1)
    nearest = squared.min(axis=0).astype(np.float64) / dimension
    variances: Float64[np.ndarray, " centre"] = np.maximum(nearest, LEAST_VARIANCE)
    broad = 1.0
    for _ in range(MOST_STEPS):
        found = _expectation(squared, to_mean, _Components(variances, dimension), broad)
        updated = _updated(variances, found.shares, found.moments, dimension)
        change = np.abs(np.log(updated / variances)).max()
        variances = updated
        if found.broad_share > np.finfo(np.float64).tiny:
            broad = max(found.broad_moment / found.broad_share / dimension, LEAST_VARIANCE)
        if change < TOLERANCE:
            break
    return variances


def log_density(
    samples: Samples, centres: Centres, variances: Float64[np.ndarray, " centre"]
) -> Float64[np.ndarray, " sample"]:
    """Log density of the mixture, less the constant of pi that every mixture shares."""
    components = _Components(variances, samples.shape[1])
    density = np.empty(len(samples))
    for rows, strip in squared_distances(samples, centres):
        others = np.full(len(strip), -np.inf)
        chosen = components.chosen(components.rough_logs(strip), others)
        density[rows] = _totals(components.logs(strip, *chosen), chosen[0], others)
    return density


class _Components:
    """Logarithms of weight times density, which are linear in squared distances."""

    def __init__(self, variances: Float64[np.ndarray, " centre"], dimension: int) -> None:
        self.dimension = dimension
        self._slopes = -0.5 / variances
        self._offsets = -0.5 * dimension * np.log(variances) - np.log(len(variances))
        self._rough = self._slopes.astype(np.float32), self._offsets.astype(np.float32)
        self._largest_offset = float(np.abs(self._offsets).max())

    def rough_logs(self, squared: Strip) -> Strip:
        """Of every pair, as float32 rounds."""
        slopes, offsets = self._rough
        logs: Strip = squared * slopes
        logs += offsets
        return logs

    def logs(
        self, squared: Strip, rows: Int[np.ndarray, " pair"], columns: Int[np.ndarray, " pair"]
    ) -> Float64[np.ndarray, " pair"]:
        """Of some pairs, in float64."""
        distances = squared[rows, columns].astype(np.float64)
        logs: Float64[np.ndarray, " pair"] = distances * self._slopes[columns]
        logs += self._offsets[columns]
        return logs

    def all_logs(self, squared: Strip) -> Float64[np.ndarray, "strip centre"]:
        """Of every pair, in float64."""
        logs: Float64[np.ndarray, "strip centre"] = squared * self._slopes
        logs += self._offsets
        return logs

    def chosen(
        self, rough: Strip, broad_logs: Float64[np.ndarray, " strip"]
    ) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
        """Rows and columns of what counts in the sum of a row and the broad component."""
        top = np.maximum(rough.max(axis=1), broad_logs)
        least = (top - self.reach(top)).astype(np.float32)
        return pairs_where(rough > least[:, None])

    def reach(self, top: Float64[np.ndarray, " row"]) -> float:
        """How far below the largest rough logarithm a term lies that counts for nothing.

        ``REACH``, and more than rounding can have moved logarithms that lie less than
        ``-LEAST_LOG`` below ``top``.
        """
        largest = float(np.abs(top).max()) - LEAST_LOG + 2 * self._largest_offset
        return REACH + 8 * float(np.finfo(np.float32).eps) * largest


class _Expectation(NamedTuple):
    """How much components explain, and at what squared distance; the broad one apart."""

    shares: Float64[np.ndarray, " centre"]
    moments: Float64[np.ndarray, " centre"]
    broad_share: float
    broad_moment: float


def _expectation(
    squared: Float32[np.ndarray, "sample centre"],
    to_mean: Float64[np.ndarray, " sample"],
    components: _Components,
    broad: float,
) -> _Expectation:
    """One pass over all pairs, a strip of samples at a time."""
    centres = squared.shape[1]
    shares, moments = np.zeros(centres), np.zeros(centres)
    broad_share = broad_moment = 0.0
    largest = np.full(centres, -np.inf, dtype=np.float32)
    for first in range(0, len(squared), STRIP_ROWS):
        strip, rest = (each[first : first + STRIP_ROWS] for each in (squared, to_mean))
        broad_logs = -0.5 * (rest / broad + components.dimension * np.log(broad))
        found = _explained_by_few(components, strip, broad_logs, largest)
        if found is None:
            found = _explained_by_all(components, strip, broad_logs)
        shares += found.shares
        moments += found.moments
        broad_share += float(found.broad.sum())
        broad_moment += float(found.broad @ rest)
    return _Expectation(shares, moments, broad_share, broad_moment)


class _StripExpectation(NamedTuple):
    """As ``_Expectation``, of some samples; of the broad component, what it explains of each."""

    shares: Float64[np.ndarray, " centre"]
    moments: Float64[np.ndarray, " centre"]
    broad: Float64[np.ndarray, " strip"]


def _explained_by_all(
    components: _Components, strip: Strip, broad_logs: Float64[np.ndarray, " strip"]
) -> _StripExpectation:
    """Responsibilities of every component, all of them in float64."""
    logs = components.all_logs(strip)
    top = np.maximum(logs.max(axis=1), broad_logs)
    logs -= top[:, None]
    responsibilities, broad = np.exp(logs, out=logs), np.exp(broad_logs - top)
    sums = responsibilities.sum(axis=1) + broad
    responsibilities /= sums[:, None]
    moments = np.einsum("ij,ij->j", responsibilities, strip)
    return _StripExpectation(responsibilities.sum(axis=0), moments, broad / sums)


def _explained_by_few(
    components: _Components,
    strip: Strip,
    broad_logs: Float64[np.ndarray, " strip"],
    largest: Float32[np.ndarray, " centre"],
) -> _StripExpectation | None:
    """The same of those that sums would notice; None where these are many.

    Args:
        components: Of the mixture.
        strip: Squared distances of some samples.
        broad_logs: Log of weight times density of the broad component.
        largest: Rough log responsibility of every component that was largest so far; brought up to
            date.
    """
    rough = components.rough_logs(strip)
    rows, columns = components.chosen(rough, broad_logs)
    if len(rows) > MOST_CHOSEN_SHARE * strip.size:
        return None
    totals = _totals(components.logs(strip, rows, columns), rows, broad_logs)
    rough -= totals.astype(np.float32)[:, None]
    # What a component explains is compared within the component, so that one which explains
    # hardly anything is fitted to what it explains most of.
    np.maximum(largest, rough.max(axis=0), out=largest)
    least = np.maximum(largest, LEAST_LOG) - components.reach(totals)
    rows, columns = pairs_where(rough > least.astype(np.float32))
    responsibilities = np.exp(components.logs(strip, rows, columns) - totals[rows])
    shares = np.bincount(columns, responsibilities, minlength=strip.shape[1])
    responsibilities *= strip[rows, columns]
    moments = np.bincount(columns, responsibilities, minlength=strip.shape[1])
    return _StripExpectation(shares, moments, np.exp(broad_logs - totals))


def _totals(
    logs: Float64[np.ndarray, " pair"],
    rows: Int[np.ndarray, " pair"],
    broad_logs: Float64[np.ndarray, " strip"],
) -> Float64[np.ndarray, " strip"]:
    """Log of the sum of every row over its pairs and the broad component."""
    top = broad_logs.copy()
    np.maximum.at(top, rows, logs)
    sums = np.bincount(rows, np.exp(logs - top[rows]), minlength=len(top))
    totals: Float64[np.ndarray, " strip"] = top + np.log(sums + np.exp(broad_logs - top))
    return totals


def _updated(
    variances: Float64[np.ndarray, " centre"],
    shares: Float64[np.ndarray, " centre"],
    moments: Float64[np.ndarray, " centre"],
    dimension: int,
) -> Float64[np.ndarray, " centre"]:
    """Variances of the next step; a component that explains nothing keeps its own."""
    explains = shares > np.finfo(np.float64).tiny
    updated = variances.copy()
    updated[explains] = moments[explains] / shares[explains] / dimension
    updated[updated < LEAST_VARIANCE] = LEAST_VARIANCE
    return updated
