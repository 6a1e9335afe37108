"""A report says what its images were compared in."""

from collections.abc import Callable

import pytest

from replicalab.domain.artifacts import ref_of
from replicalab.domain.classifiers import CifarResNet18
from replicalab.domain.datasets import (
    DatasetContents,
    DatasetRecipe,
    DigitsDataset,
    RegisteredDataset,
)
from replicalab.domain.features import (
    ClassifierFeatures,
    DinoFeatures,
    FeatureSpec,
    InceptionFeatures,
    InDomainFeatures,
)
from replicalab.domain.measures import Measurement
from replicalab_metrics.reports.page import report_page
from replicalab_metrics.reports.study import Study

PETS = RegisteredDataset(
    name="pets",
    version="cd" * 32,
    contents=DatasetContents(
        file=ref_of(b"pets", "application/zip"),
        recipe=DatasetRecipe(),
        licence="CC0",
        train_images=60,
        test_images=20,
        classes=3,
        resolution=8,
        channels=1,
    ),
)

ANSWERS = "Answers are of the classifier trained on the real training set"


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (InDomainFeatures(), "the classifier trained on the real training set"),
        (
            ClassifierFeatures(dataset=DigitsDataset(), classifier=CifarResNet18(), seed=4),
            "a classifier trained on digits with the seed 4",
        ),
        (
            ClassifierFeatures(dataset=PETS, classifier=CifarResNet18(), seed=2),
            f"a classifier trained on pets (version {'cd' * 6}, under CC0) with the seed 2",
        ),
        (InceptionFeatures(dimension=768), "are 768 averages of maps of Inception-v3"),
        (DinoFeatures(), "DINOv2 ViT-L/14 (Apache License 2.0)"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_the_space_is_named_with_the_digest_of_its_network(
    features: FeatureSpec, words: str, study: Callable[..., Study]
) -> None:
    page = report_page(study(features=features), []).decode()
    (sentence,) = [line for line in page.splitlines() if line.startswith("<p>Features are")]
    assert words in sentence
    assert "e" * 64 in sentence
    assert ANSWERS not in page, "one digest stands for both"


def test_another_network_that_answers_is_named_too(
    study: Callable[..., Study], measured: Callable[..., Measurement]
) -> None:
    answer = measured("real_classifier_accuracy", 9, 0.5, recipe={"extractor_sha256": "f" * 64})
    measurements = [answer, measured("vendi_score", 9, 5.0, unit="images")]
    page = report_page(
        study(measurements=measurements, projection=None, features=InceptionFeatures()), []
    ).decode()
    assert ANSWERS in page
    assert "f" * 64 in page
