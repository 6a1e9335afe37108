"""Two arrays or files of features compared without a service: values, recipes and refusals."""

import io
from pathlib import Path

import numpy as np
import prdc
import pytest

from replicalab.comparisons.choices import UNLABELLED_MEASURES, chosen_measures
from replicalab.comparisons.compare import compare
from replicalab.domain.features import InceptionFeatures
from replicalab.domain.measures import (
    FeatureLikelihoodMeasure,
    KernelSubsets,
    Measurement,
    PrecisionRecallMeasure,
)
from replicalab.errors import InvalidMeasureInput
from replicalab.file_errors import InvalidComparison
from replicalab.storage.features import FeatureSet
from replicalab_metrics.measures.copies import nearest_real
from replicalab_metrics.measures.frechet import frechet_distance
from replicalab_metrics.measures.kernel_distance import kernel_distance, subset_kernel_distances
from replicalab_metrics.measures.vendi import vendi_score

Features = np.ndarray
Sides = tuple[Features, Features]


@pytest.fixture
def sides() -> Sides:
    """Equally many, so that nothing but their order could pair them."""
    draws = np.random.default_rng(0)
    real = draws.standard_normal((60, 5))
    return real.astype(np.float32), (draws.standard_normal((60, 5)) + 0.5).astype(np.float32)


def values(measurements: list[Measurement]) -> dict[str, float]:
    return {measurement.name: measurement.value for measurement in measurements}


def stored(features: Features, extractor_sha256: str) -> FeatureSet:
    """As a study stores them, in classes."""
    indices = np.arange(len(features))
    return FeatureSet(features, None, indices % 3, indices, extractor_sha256, "classifier")


def test_values_are_those_of_the_measures(sides: Sides) -> None:
    real, fake = sides
    subsets = KernelSubsets(count=4, size=20, seed=7)
    found = values(compare(real, fake, measures=chosen_measures([], subsets=subsets)))
    assert found["frechet_distance"] == frechet_distance(real, fake)
    assert found["kernel_distance"] == kernel_distance(real, fake).value
    of_subsets = subset_kernel_distances(real, fake, subsets=4, size=20, seed=7)
    assert found["kernel_distance_of_subsets"] == of_subsets.mean()
    assert found["authenticity"] == nearest_real(real, fake).is_authentic.mean()
    assert found["vendi_score"] == vendi_score(fake)


def test_shares_are_those_that_prdc_finds(sides: Sides) -> None:
    real, fake = (side.astype(np.float64) for side in sides)
    theirs = prdc.compute_prdc(real_features=real, fake_features=fake, nearest_k=4)
    found = values(compare(*sides, measures=chosen_measures(["prdc"], neighbours=4)))
    assert found == pytest.approx(theirs, abs=1e-12)


@pytest.mark.slow  # imports torch
def test_distances_are_those_that_torch_fidelity_finds(sides: Sides) -> None:
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    moments = [
        {"mu": side.mean(axis=0), "sigma": np.cov(side, rowvar=False)}
        for side in (side.astype(np.float64) for side in sides)
    ]
    theirs = fid.fid_statistics_to_metric(*moments, verbose=False)["frechet_inception_distance"]
    found = values(compare(*sides, measures=chosen_measures(["fid"])))
    assert found["frechet_distance"] == pytest.approx(theirs, rel=1e-9)


def test_every_value_has_its_size_interval_and_recipe_and_no_place_in_a_sweep(
    sides: Sides,
) -> None:
    real, fake = sides
    found = compare(real[:50], fake)
    assert {measurement.name for measurement in found} >= {"precision", "density", "beta_recall"}
    for measurement in found:
        assert measurement.n == (
            50 if measurement.name in {"recall", "coverage", "beta_recall"} else 60
        )
        assert measurement.interval is not None
        assert measurement.recipe["n_fake"] == 60
        assert measurement.recipe["space"] == "features as given"
        assert "reconstruction" not in measurement.interval.method
        assert (measurement.t_re, measurement.sigma, measurement.reference) == (None, None, None)


def test_progress_is_reported_by_measure(sides: Sides) -> None:
    stages: list[str] = []
    compare(*sides, report=lambda _done, _total, stage: stages.append(stage))
    assert stages == [measure.kind for measure in UNLABELLED_MEASURES]


@pytest.mark.parametrize("name", ["features", "arr_0", "anything"])
def test_files_give_what_their_arrays_give(name: str, sides: Sides, tmp_path: Path) -> None:
    real, fake = sides
    np.save(tmp_path / "real.npy", real)
    (tmp_path / "fake.npz").write_bytes(_archive(**{name: fake}))
    from_files = compare(tmp_path / "real.npy", str(tmp_path / "fake.npz"))
    assert from_files == compare(real, fake)


def test_stored_features_keep_their_extractor(sides: Sides, tmp_path: Path) -> None:
    for name, side in zip(("real", "fake"), sides, strict=True):
        (tmp_path / f"{name}.npz").write_bytes(stored(side, "e" * 64).to_bytes())
    found = compare(tmp_path / "real.npz", tmp_path / "fake.npz")
    assert values(found) == values(compare(*sides))
    assert {measurement.recipe["extractor_sha256"] for measurement in found} == {"e" * 64}


def test_unlike_extractors_are_refused(sides: Sides, tmp_path: Path) -> None:
    real, fake = sides
    (tmp_path / "e.npz").write_bytes(stored(real, "e" * 64).to_bytes())
    (tmp_path / "f.npz").write_bytes(stored(fake, "f" * 64).to_bytes())
    for other in (tmp_path / "f.npz", fake):
        with pytest.raises(InvalidMeasureInput, match="unlike extractors"):
            compare(tmp_path / "e.npz", other)
    with pytest.raises(InvalidMeasureInput, match="unlike extractors"):
        compare(real, fake[:, :4])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_features_that_are_not_finite_in_float32_are_refused(value: float, sides: Sides) -> None:
    real, fake = (side.astype(np.float64) for side in sides)
    fake[3, 2] = value
    with pytest.raises(InvalidComparison, match="not finite"):
        compare(real, fake)


def test_constant_real_features_are_refused(sides: Sides) -> None:
    with pytest.raises(InvalidMeasureInput, match="same features"):
        compare(np.ones((60, 5)), sides[1])


@pytest.mark.parametrize(
    ("names", "images"), [("prc", 3), ("prdc", 5), ("kid", 3), ("fid", 1), ("copies", 1)]
)
def test_too_few_images_are_refused(names: str, images: int, sides: Sides) -> None:
    real, fake = (side[:images] for side in sides)
    with pytest.raises(InvalidMeasureInput):
        compare(real, fake, measures=chosen_measures([names]))


def test_a_subset_larger_than_a_set_is_refused(sides: Sides) -> None:
    measures = chosen_measures(["kid"], subsets=KernelSubsets(size=61))
    with pytest.raises(InvalidMeasureInput, match="61"):
        compare(*sides, measures=measures)


def test_a_value_beyond_floating_point_is_a_problem_and_no_nan(sides: Sides) -> None:
    with pytest.raises(InvalidMeasureInput, match="Scale both sets alike"):
        compare(*(side * 1e20 for side in sides), measures=chosen_measures(["kid"]))


def test_measures_that_two_sets_do_not_have_are_refused(sides: Sides) -> None:
    with pytest.raises(InvalidComparison, match="feature-likelihood"):
        compare(*sides, measures=[FeatureLikelihoodMeasure()])
    with pytest.raises(InvalidComparison, match="class-flip, fld: no measure"):
        chosen_measures(["class-flip", "fid", "fld"])


def test_measures_are_taken_once_and_in_order() -> None:
    chosen = chosen_measures(["vendi", "prc", "prdc"], neighbours=9)
    assert [measure.kind for measure in chosen] == [
        "vendi-score",
        "precision-recall",
        "density-coverage",
    ]
    assert chosen[1] == PrecisionRecallMeasure(neighbours=9)


def test_a_network_is_of_no_use_to_features(sides: Sides) -> None:
    with pytest.raises(InvalidComparison, match="features already"):
        compare(*sides, extractor=InceptionFeatures())


def _array(array: np.ndarray) -> bytes:
    body = io.BytesIO()
    np.save(body, array, allow_pickle=True)
    return body.getvalue()


def _archive(**arrays: np.ndarray) -> bytes:
    body = io.BytesIO()
    np.savez(body, **arrays)  # type: ignore[arg-type]
    return body.getvalue()


NOTHING = np.zeros((9, 5))


@pytest.mark.parametrize(
    "body",
    [
        b"no array",
        _array(np.array([{}])),
        _array(np.zeros((9, 5), dtype=np.int64)),
        _array(np.zeros((0, 5))),
        _archive(features=NOTHING)[:-30],
        _archive(some=NOTHING, others=NOTHING),
        _archive(features=NOTHING, extractor_sha256=np.array("e" * 64)),
        _archive(),
    ],
    ids=["text", "objects", "integers", "empty", "truncated", "several", "half a set", "no array"],
)
def test_files_that_hold_no_features_are_refused_by_name(
    body: bytes, sides: Sides, tmp_path: Path
) -> None:
    path = tmp_path / "side.npz"
    path.write_bytes(body)
    with pytest.raises(InvalidComparison, match=r"side\.npz"):
        compare(sides[0], path)


def test_a_file_of_another_kind_gets_no_advice_on_pickles(sides: Sides, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text("{}")
    with pytest.raises(InvalidComparison, match=r"study\.json is neither") as refusal:
        compare(sides[0], path)
    assert "pickle" not in refusal.value.detail


def test_what_is_not_there_is_named(sides: Sides, tmp_path: Path) -> None:
    with pytest.raises(InvalidComparison, match="nowhere is not there"):
        compare(tmp_path / "nowhere", sides[1])
