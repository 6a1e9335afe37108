"""Two folders or arrays of images compared in a network that this machine has the weights of."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from replicalab.cli.measuring import Outputs, run
from replicalab.comparisons.choices import chosen_measures
from replicalab.comparisons.compare import compare
from replicalab.domain.features import (
    DINOV2_WEIGHTS,
    FID_INCEPTION_WEIGHTS,
    DinoFeatures,
    InceptionFeatures,
)
from replicalab.domain.measures import Measurement
from replicalab.file_errors import InvalidComparison, WeightsUnavailable
from replicalab_metrics.measures.frechet import frechet_distance
from replicalab_worker.science.embedding.inception import FidInception
from tests.fixtures.inception import features_pinned_in, random_inception, write_weights

pytestmark = pytest.mark.slow  # imports torchvision

Images = np.ndarray
MEASURES = chosen_measures(["fid", "prc"])


@pytest.fixture(scope="module")
def network() -> FidInception:
    return random_inception()


@pytest.fixture(scope="module")
def weights(network: FidInception, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(network, tmp_path_factory.mktemp("weights"))


@pytest.fixture
def extractor(weights: Path, monkeypatch: pytest.MonkeyPatch) -> InceptionFeatures:
    monkeypatch.setenv("REPLICALAB_WEIGHTS__FOLDER", str(weights))
    return features_pinned_in(weights)


@pytest.fixture(scope="module")
def sides() -> tuple[Images, Images]:
    draws = np.random.default_rng(0)
    real = draws.integers(0, 256, (7, 6, 8, 3), dtype=np.uint8)
    return real, draws.integers(0, 128, (6, 6, 8, 3), dtype=np.uint8)


def write(images: Images, folder: Path, name: str = "class {}/image {}.png") -> Path:
    """A folder of class folders; names are in the order of the images."""
    for number, pixels in enumerate(images):
        path = folder / name.format(number // 4, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze()).save(path)
    return folder


def distance_of(measurements: list[Measurement]) -> float:
    return next(each.value for each in measurements if each.name == "frechet_distance")


def test_images_are_compared_in_the_network_that_is_named(
    network: FidInception, extractor: InceptionFeatures, sides: tuple[Images, Images]
) -> None:
    found = compare(*sides, measures=MEASURES, extractor=extractor)
    with torch.no_grad():
        real, fake = (
            network.features(torch.from_numpy(side).permute(0, 3, 1, 2), 64).numpy()
            for side in sides
        )
    assert distance_of(found) == pytest.approx(frechet_distance(real, fake), rel=1e-4)
    for measurement in found:
        assert measurement.recipe | {"neighbours": 3} == {
            "space": "inception-v3 64",
            "extractor_sha256": extractor.weights_sha256,
            "dimension": 64,
            "resize": "bilinear as TensorFlow 1, to 299 pixels",
            "real_form": "8 x 6 RGB",
            "fake_form": "8 x 6 RGB",
            "n_reference": 7,
            "n_fake": 6,
            "neighbours": 3,
        }


def test_folders_give_what_their_arrays_give(
    extractor: InceptionFeatures, sides: tuple[Images, Images], tmp_path: Path
) -> None:
    real = write(sides[0], tmp_path / "real")
    (real / "notes.txt").write_text("no image")
    (real / ".hidden.png").write_bytes(b"no image")
    fake = write(sides[1], tmp_path / "fake", "image {1}.bmp")
    np.savez(tmp_path / "real.npz", images=sides[0], labels=np.arange(7) // 4)
    expected = compare(*sides, measures=MEASURES, extractor=extractor)
    assert compare(real, fake, measures=MEASURES, extractor=extractor) == expected
    np.save(tmp_path / "real.npy", sides[0])
    for file in ("real.npz", "real.npy"):
        mixed = compare(tmp_path / file, fake, measures=MEASURES, extractor=extractor)
        assert mixed == expected


def test_class_folders_are_classes_where_a_measure_asks(
    extractor: InceptionFeatures, sides: tuple[Images, Images], tmp_path: Path
) -> None:
    real = write(sides[0], tmp_path / "real")
    fake = write(sides[1], tmp_path / "fake")
    np.savez(tmp_path / "real.npz", images=sides[0], labels=np.arange(7) // 4)
    np.savez(tmp_path / "fake.npz", images=sides[1], labels=np.arange(6) // 4)
    measures = chosen_measures(["per-class"], neighbours=2)
    found = compare(real, fake, measures=measures, extractor=extractor)
    from_arrays = compare(
        tmp_path / "real.npz", tmp_path / "fake.npz", measures=measures, extractor=extractor
    )
    assert [each.value for each in found] == [each.value for each in from_arrays]
    assert {each.part for each in found} == {"class class 0", "class class 1"}
    loose = write(sides[1], tmp_path / "loose", "{1}.png")
    with pytest.raises(InvalidComparison, match="generated images have no labels"):
        compare(real, loose, measures=measures, extractor=extractor)


def test_grey_images_need_no_channels(
    extractor: InceptionFeatures, sides: tuple[Images, Images], tmp_path: Path
) -> None:
    grey = [side[..., 0] for side in sides]
    folders = [write(side, tmp_path / str(number)) for number, side in enumerate(grey)]
    found = compare(*grey, measures=MEASURES, extractor=extractor)
    assert compare(*folders, measures=MEASURES, extractor=extractor) == found
    assert found[0].recipe["real_form"] == "8 x 6 grey"
    as_rgb = [side[..., None].repeat(3, axis=-1) for side in grey]
    assert distance_of(compare(*as_rgb, measures=MEASURES, extractor=extractor)) == distance_of(
        found
    )


@pytest.mark.parametrize(
    ("extractor", "file"),
    [(None, FID_INCEPTION_WEIGHTS.file), (DinoFeatures(), DINOV2_WEIGHTS.file)],
    ids=["inception", "dinov2"],
)
def test_missing_weights_are_named_with_their_place(
    extractor: DinoFeatures | None,
    file: str,
    sides: tuple[Images, Images],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REPLICALAB_WEIGHTS__FOLDER", str(tmp_path))
    with pytest.raises(WeightsUnavailable) as caught:
        compare(*sides, extractor=extractor)
    assert file in caught.value.detail
    assert str(tmp_path) in caught.value.detail


def _empty(folder: Path) -> None:
    (folder / "class").mkdir()


def _mixed_sizes(folder: Path) -> None:
    Image.new("L", (8, 6)).save(folder / "a.png")
    Image.new("L", (6, 8)).save(folder / "b.png")


def _no_image(folder: Path) -> None:
    (folder / "b.png").write_bytes(b"no image")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_empty, "holds no images"),
        (_mixed_sizes, r"a\.png has 8 x 6, .*b\.png has 6 x 8"),
        (_no_image, r"b\.png is not an image"),
    ],
)
def test_folders_that_hold_no_image_set_are_refused(
    spoil: Callable[[Path], None], said: str, sides: tuple[Images, Images], tmp_path: Path
) -> None:
    spoil(tmp_path)
    with pytest.raises(InvalidComparison, match=said):
        compare(tmp_path, sides[1])


def test_a_file_whose_pixels_are_broken_is_named(
    extractor: InceptionFeatures, sides: tuple[Images, Images], tmp_path: Path
) -> None:
    write(sides[0], tmp_path, "{1}.png")
    path = tmp_path / "3.png"
    path.write_bytes(path.read_bytes()[:80])  # the header is whole
    with pytest.raises(InvalidComparison, match=r"3\.png"):
        compare(tmp_path, sides[1], extractor=extractor)


def test_images_are_not_compared_with_features(sides: tuple[Images, Images]) -> None:
    with pytest.raises(InvalidComparison, match="One side is features"):
        compare(sides[0], np.zeros((9, 5)))


def test_channels_come_last(sides: tuple[Images, Images]) -> None:
    with pytest.raises(InvalidComparison, match=r"\(7, 3, 6, 8\)"):
        compare(sides[0].transpose(0, 3, 1, 2), sides[1])


def test_the_command_says_the_space_and_that_sizes_differ(
    extractor: InceptionFeatures, sides: tuple[Images, Images], tmp_path: Path
) -> None:
    real = write(sides[0], tmp_path / "real")
    fake = write(sides[1][:, :5, :, 0], tmp_path / "fake")
    printed, noted = StringIO(), StringIO()
    outputs = Outputs(Console(file=printed, width=120), Console(file=noted, width=120), None, None)
    run(outputs, real, fake, "fid", None, None, extractor)
    for fact in ("inception-v3 64", extractor.weights_sha256, "bilinear as TensorFlow 1"):
        assert fact in printed.getvalue()
    assert "Real images are 8 x 6 RGB, generated ones 8 x 5 grey" in noted.getvalue()
