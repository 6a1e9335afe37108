"""What the paper reports, in the units of our measurements.

Yamaguchi (2024), *Analyzing Diffusion Models on Synthesizing Training Datasets*, PMLR 260:335-350:
accuracies and entropies from its tables, distances and shares read off its figure of sample
quality. Conditional EDM (Karras et al. 2022) with 100 steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from replicalab.domain.measures import MeasurementName, Reference

SOURCE = "Yamaguchi (2024), PMLR 260:335-350"

OVER_RUNS = "standard deviation over training runs, of which the paper does not say how many"
READ_OFF = "error of reading the value off a figure"


@dataclass(frozen=True, slots=True)
class PublishedValue:
    """A number as it was published.

    Attributes:
        value: In the unit of its curve.
        spread: What stands behind its plus and minus, in the same unit; None where nothing does.
    """

    value: float
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class PublishedCurve:
    """One measure of the paper.

    Attributes:
        name: Of our measurement of the same thing.
        reference: Real set compared with.
        unit: Of the values, as our measurements write it.
        spread: What their spreads are, in words; empty where they have none.
        values: By ``t_re`` of 100 steps.
    """

    name: MeasurementName
    reference: Reference | None
    unit: Literal["1", "nats", "squared feature units"]
    spread: str
    values: Mapping[int, PublishedValue]


def _accuracies(percent: Mapping[int, tuple[float, float]]) -> PublishedCurve:
    """Table 2; there as percentages."""
    values = {t_re: PublishedValue(mean / 100, std / 100) for t_re, (mean, std) in percent.items()}
    return PublishedCurve(MeasurementName.ACCURACY, None, "1", OVER_RUNS, values)


def _quality(
    name: MeasurementName,
    unit: Literal["1", "squared feature units"],
    values: Mapping[int, float],
    read_to: float,
) -> PublishedCurve:
    """A line of the figure; at ``t_re`` 0 the set is compared with itself, so nothing is read."""
    return PublishedCurve(
        name,
        Reference.TRAIN,
        unit,
        READ_OFF,
        {t_re: PublishedValue(value, read_to if t_re else None) for t_re, value in values.items()},
    )


def _entropies(
    name: MeasurementName, reference: Reference | None, values: Mapping[int, float]
) -> PublishedCurve:
    return PublishedCurve(
        name, reference, "nats", "", {t_re: PublishedValue(each) for t_re, each in values.items()}
    )


CIFAR10 = (
    _accuracies(
        {
            0: (95.58, 0.16),
            30: (94.85, 0.15),
            50: (93.33, 0.38),
            70: (91.57, 0.55),
            100: (89.85, 0.41),
        }
    ),
    _quality(
        MeasurementName.FRECHET_DISTANCE,
        "squared feature units",
        {
            0: 0.0,
            20: 0.446,
            30: 0.935,
            40: 1.281,
            50: 1.655,
            60: 1.882,
            70: 1.952,
            80: 1.961,
            100: 1.966,
        },
        read_to=0.002,
    ),
    _quality(
        MeasurementName.PRECISION,
        "1",
        {
            0: 1.0,
            20: 1.0,
            30: 0.994,
            40: 0.914,
            50: 0.819,
            60: 0.777,
            70: 0.779,
            80: 0.775,
            100: 0.774,
        },
        read_to=0.0005,
    ),
    _quality(
        MeasurementName.RECALL,
        "1",
        {
            0: 1.0,
            20: 1.0,
            30: 0.993,
            40: 0.878,
            50: 0.702,
            60: 0.642,
            70: 0.631,
            80: 0.633,
            100: 0.630,
        },
        read_to=0.0005,
    ),
    _entropies(
        MeasurementName.REAL_CLASSIFIER_ENTROPY,
        None,
        {0: 2.44, 30: 2.40, 50: 2.38, 70: 2.07, 100: 1.33},
    ),
    _entropies(
        MeasurementName.HELD_OUT_ENTROPY,
        Reference.TEST,
        {0: 2.84, 30: 2.80, 50: 2.48, 70: 2.44, 100: 1.33},
    ),
)
"""CIFAR-10, table 2 and the figures."""

CIFAR100 = (
    _accuracies(
        {
            0: (86.70, 0.08),
            30: (86.16, 0.61),
            50: (81.07, 0.90),
            70: (77.88, 0.31),
            100: (77.68, 0.73),
        }
    ),
)
"""CIFAR-100, table 2."""
