"""``replicalab measure``, with its options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Space(StrEnum):
    """Published networks that images are compared in."""

    INCEPTION = "inception"
    DINOV2 = "dinov2"


SIDE = "Folder of images (class folders tell classes), or .npy or .npz of images or features."

Real = Annotated[Path, typer.Argument(help=SIDE)]
Fake = Annotated[Path, typer.Argument(help="The same of generated images.")]
Measures = Annotated[
    str | None,
    typer.Option(help="Kinds or short names, joined by commas; all that the sets have labels for."),
]
Network = Annotated[
    Space | None, typer.Option(help="Network that images are compared in; inception.")
]
Dimension = Annotated[
    int | None, typer.Option(help="Of Inception's features: 64, 192, 768 or 2048.")
]
Digest = Annotated[
    str | None, typer.Option(help="Digest of weights of your own, under the published name.")
]
Neighbours = Annotated[
    int | None, typer.Option(min=1, max=100, help="k of balls; 3, and 5 for density.")
]
Subsets = Annotated[
    int | None, typer.Option(min=1, max=10_000, help="KID over so many subsets as well.")
]
SubsetSize = Annotated[int, typer.Option(min=2, help="Images of a subset.")]
SubsetSeed = Annotated[int, typer.Option(min=0, help="Of the subsets.")]
AsJson = Annotated[
    str | None, typer.Option(help="File for everything as JSON; - instead of the table.")
]
AsCsv = Annotated[
    str | None, typer.Option(help="File for everything as CSV; - instead of the table.")
]


def measure(
    real: Real,
    fake: Fake,
    measures: Measures = None,
    space: Network = None,
    dimension: Dimension = None,
    weights_sha256: Digest = None,
    neighbours: Neighbours = None,
    subsets: Subsets = None,
    subset_size: SubsetSize = 1000,
    subset_seed: SubsetSeed = 0,
    json: AsJson = None,
    csv: AsCsv = None,
) -> None:
    """Measure two image sets without a service.

    Folders are read with all below them. Features need no network and no weights. Class folders
    on both sides, or labels in an .npz, add measures class by class.
    """
    from replicalab.comparisons.parts import comparing

    comparing()  # says which package is missing, before others are missed that it would bring

    from rich.console import Console

    from replicalab.cli.measuring import Outputs, extractor_of, run, subsets_of

    run(
        Outputs(Console(), Console(stderr=True), json, csv),
        real,
        fake,
        names=measures,
        neighbours=neighbours,
        subsets=subsets_of(subsets, subset_size, subset_seed),
        extractor=extractor_of(space, dimension, weights_sha256),
    )
