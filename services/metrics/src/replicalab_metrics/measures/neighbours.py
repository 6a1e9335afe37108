"""Exact nearest neighbours: found among float32 distances, decided in float64."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.tiles import (
    UNDERFLOW,
    Frame,
    Tile,
    exact_squared,
    pairs_where,
    row_blocks,
)

MOST_CANDIDATES = 2**21
"""Pairs kept before those that later distances have ruled out are dropped."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest samples of every sample, nearest first; ties go to the lower index.

    Attributes:
        indices: Which samples.
        squared: Their squared distances.
    """

    indices: Int[np.ndarray, "sample k"]
    squared: Float64[np.ndarray, "sample k"]


def nearest_others(features: Float[np.ndarray, "sample dim"], k: int) -> Neighbours:
    """The ``k`` nearest other samples of the set itself.

    Raises:
        UnmeasurableInput: The set has no ``k`` other samples, or is not finite.
    """
    _check_enough(len(features), k, others=len(features) - 1)
    frame = Frame.around(features)
    shortlist = _Shortlist(len(features), k)
    runs = list(row_blocks(len(features)))
    for rows in runs:
        block = frame.block(features, rows)
        tile = frame.tile(block, block)
        np.fill_diagonal(tile.lower, np.inf)
        shortlist.bound(tile)
        shortlist.add(tile)
    for number, rows in enumerate(runs):
        block = frame.block(features, rows)
        for columns in runs[number + 1 :]:
            tile = frame.tile(block, frame.block(features, columns))
            shortlist.add(tile)
            shortlist.add_transposed(tile)
    return shortlist.decide(features, features)


def nearest(
    features: Float[np.ndarray, "sample dim"], others: Float[np.ndarray, "other dim"], k: int = 1
) -> Neighbours:
    """The ``k`` nearest samples of another set; raises as ``nearest_others``."""
    _check_enough(len(others), k, others=len(others))
    frame = Frame.around(features, others)
    shortlist = _Shortlist(len(features), k)
    for rows in row_blocks(len(features)):
        block = frame.block(features, rows)
        for columns in row_blocks(len(others)):
            tile = frame.tile(block, frame.block(others, columns))
            if columns.start == 0:
                shortlist.bound(tile)
            shortlist.add(tile)
    return shortlist.decide(features, others)


def squared_radii(
    features: Float[np.ndarray, "sample dim"], k: int
) -> Float64[np.ndarray, " sample"]:
    """Squared distance of every sample to its ``k``-th nearest other sample of the set.

    Raises:
        UnmeasurableInput: The set has no ``k`` other samples, or is not finite.
    """
    return nearest_others(features, k).squared[:, -1]


def _check_enough(n: int, k: int, others: int) -> None:
    if others < k:
        raise UnmeasurableInput(
            f"Neighbour {k} of a sample needs a set of at least {k + n - others}, not {n}."
        )


@dataclass(slots=True)
class _Candidates:
    """Pairs of a sample and what may be one of its neighbours."""

    rows: Int[np.ndarray, " pair"]
    columns: Int[np.ndarray, " pair"]
    lower: Float32[np.ndarray, " pair"]
    upper: Float32[np.ndarray, " pair"]


@dataclass(slots=True)
class _Shortlist:
    """What may be among the ``k`` nearest of each of ``n`` samples.

    Attributes:
        bounds: The ``k``-th nearest of a sample is no further, in squared units of the frame.
    """

    n: int
    k: int
    bounds: Float32[np.ndarray, " n"] = field(init=False)
    _parts: list[_Candidates] = field(init=False, default_factory=list)
    _pairs: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.bounds = np.full(self.n, np.inf, dtype=np.float32)

    def bound(self, tile: Tile) -> None:
        """Bound the rows of a tile by its own columns, where it has enough of them."""
        finite_columns = tile.lower.shape[1] - (tile.left.rows == tile.right.rows)
        if finite_columns < self.k:
            return
        kth = np.partition(tile.lower, self.k - 1, axis=1)[:, self.k - 1]
        norms = tile.left.squared_norms + tile.right.squared_norms.max()
        self.bounds[tile.left.rows] = kth + norms * np.float32(tile.error_share) + UNDERFLOW

    def add(self, tile: Tile) -> None:
        """Take the columns of a tile that may be neighbours of its rows."""
        rows, columns = pairs_where(tile.lower <= self.bounds[tile.left.rows, None])
        self._keep(
            tile, rows, columns, rows + tile.left.rows.start, columns + tile.right.rows.start
        )

    def add_transposed(self, tile: Tile) -> None:
        """Take the rows of a tile that may be neighbours of its columns."""
        rows, columns = pairs_where(tile.lower <= self.bounds[tile.right.rows])
        self._keep(
            tile, rows, columns, columns + tile.right.rows.start, rows + tile.left.rows.start
        )

    def _keep(
        self,
        tile: Tile,
        rows: Int[np.ndarray, " pair"],
        columns: Int[np.ndarray, " pair"],
        samples: Int[np.ndarray, " pair"],
        neighbours: Int[np.ndarray, " pair"],
    ) -> None:
        lower = tile.lower[rows, columns]
        upper = lower + tile.widths(rows, columns)
        is_other = np.isfinite(lower)
        self._parts.append(
            _Candidates(samples[is_other], neighbours[is_other], lower[is_other], upper[is_other])
        )
        self._pairs += len(rows)
        if self._pairs > MOST_CANDIDATES:
            self._drop_ruled_out()

    def _drop_ruled_out(self) -> _Candidates:
        """All candidates together, less those that the others rule out."""
        rows, columns, lower, upper = (
            np.concatenate([getattr(part, name) for part in self._parts])
            for name in ("rows", "columns", "lower", "upper")
        )
        order = np.lexsort((upper, rows))
        firsts, counts = _runs(rows[order], self.n)
        is_bounded = counts >= self.k
        kth = upper[order[firsts[is_bounded] + self.k - 1]]
        self.bounds[is_bounded] = np.minimum(self.bounds[is_bounded], kth)
        left = order[lower[order] <= self.bounds[rows[order]]]
        kept = _Candidates(rows[left], columns[left], lower[left], upper[left])
        self._parts, self._pairs = [kept], 0
        return kept

    def decide(
        self, features: Float[np.ndarray, "n dim"], others: Float[np.ndarray, "other dim"]
    ) -> Neighbours:
        """The nearest among the candidates, by their exact distances."""
        found = self._drop_ruled_out()
        exact = exact_squared(features, found.rows, others, found.columns)
        order = np.lexsort((found.columns, exact, found.rows))
        firsts, _ = _runs(found.rows[order], self.n)
        chosen = order[firsts[:, None] + np.arange(self.k)]
        return Neighbours(found.columns[chosen], exact[chosen])


def _runs(
    sorted_rows: Int[np.ndarray, " pair"], n: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Where the pairs of every row begin, and how many they are."""
    counts = np.bincount(sorted_rows, minlength=n)
    return np.cumsum(counts) - counts, counts
