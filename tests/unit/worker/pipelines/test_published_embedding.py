"""Published networks as a task: weights by name and digest, and what is written."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from replicalab.domain import artifacts
from replicalab.domain.features import (
    DINOV2_WEIGHTS,
    FID_INCEPTION_WEIGHTS,
    DinoFeatures,
    InceptionFeatures,
    PublishedWeights,
)
from replicalab.domain.tasks import EmbedPublished
from replicalab.engine.handlers import MemoryContext
from replicalab.errors import InvalidImageSet
from replicalab.file_errors import WeightsUnavailable
from replicalab.storage.features import FeatureSet
from replicalab.storage.image_sets import ImageSet
from replicalab_worker.pipelines.pinned_files import PinnedFolder
from replicalab_worker.pipelines.published_embedding import PublishedEmbedding
from replicalab_worker.science.embedding.inception import FidInception
from tests.fixtures.inception import (
    SHALLOWEST,
    features_pinned_in,
    random_inception,
    write_weights,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> FidInception:
    return random_inception()


@pytest.fixture(scope="module")
def weights(network: FidInception, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(network, tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def features(weights: Path) -> InceptionFeatures:
    return features_pinned_in(weights)


def handler(folder: Path) -> PublishedEmbedding:
    return PublishedEmbedding(CPU, PinnedFolder(folder, WeightsUnavailable))


def embedded(
    embed: PublishedEmbedding,
    images: ImageSet,
    features: InceptionFeatures | DinoFeatures,
) -> FeatureSet:
    context = MemoryContext({"images": [images.to_bytes()] * 2})
    embed(context, EmbedPublished(extractor=features))
    return FeatureSet.from_bytes(context.outputs[artifacts.FEATURES])


@pytest.fixture(scope="module")
def few() -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    return ImageSet(pixels, np.array([0, 1, 9]), np.array([4, 5, 6]))


def test_features_are_those_of_the_network_in_the_order_of_the_images(
    network: FidInception, weights: Path, features: InceptionFeatures, few: ImageSet
) -> None:
    found = embedded(handler(weights), few, features)
    levels = torch.from_numpy(few.images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    with torch.no_grad():
        expected = network.features(levels, SHALLOWEST).numpy()
    np.testing.assert_allclose(found.features, np.tile(expected, (2, 1)), rtol=1e-4, atol=1e-5)
    assert found.labels.tolist() == [0, 1, 9] * 2
    assert found.indices.tolist() == [4, 5, 6] * 2
    assert found.logits is None
    assert (found.space, found.extractor_sha256) == ("inception-v3 64", features.weights_sha256)


def test_grey_images_are_rgb_ones_of_three_equal_channels(
    weights: Path, features: InceptionFeatures, few: ImageSet
) -> None:
    embed = handler(weights)
    rgb = ImageSet(few.images.repeat(3, axis=3), few.labels, few.indices)
    assert np.array_equal(
        embedded(embed, rgb, features).features, embedded(embed, few, features).features
    )


def test_the_network_used_last_is_kept(
    weights: Path, features: InceptionFeatures, few: ImageSet, tmp_path: Path
) -> None:
    file = tmp_path / FID_INCEPTION_WEIGHTS.file
    file.write_bytes((weights / file.name).read_bytes())
    embed = handler(tmp_path)
    first = embedded(embed, few, features)
    file.unlink()
    assert np.array_equal(embedded(embed, few, features).features, first.features)
    with pytest.raises(WeightsUnavailable, match="missing"):
        embedded(handler(tmp_path), few, features)


def test_images_that_are_neither_grey_nor_rgb_are_refused(
    weights: Path, features: InceptionFeatures, few: ImageSet
) -> None:
    odd = ImageSet(few.images.repeat(2, axis=3), few.labels, few.indices)
    with pytest.raises(InvalidImageSet, match="not 2 channels"):
        embedded(handler(weights), odd, features)


@pytest.mark.parametrize(
    ("features", "published"),
    [(InceptionFeatures(), FID_INCEPTION_WEIGHTS), (DinoFeatures(), DINOV2_WEIGHTS)],
    ids=["inception", "dinov2"],
)
def test_missing_weights_are_asked_for_by_name_digest_and_folder(
    features: InceptionFeatures | DinoFeatures,
    published: PublishedWeights,
    few: ImageSet,
    tmp_path: Path,
) -> None:
    with pytest.raises(WeightsUnavailable, match="is missing") as caught:
        embedded(handler(tmp_path), few, features)
    assert caught.value.extensions == {
        "file": published.file,
        "sha256": published.sha256,
        "folder": str(tmp_path),
        "url": published.url,
    }


def test_the_published_name_does_not_vouch_for_the_file(weights: Path, few: ImageSet) -> None:
    with pytest.raises(WeightsUnavailable, match="is another file"):
        embedded(handler(weights), few, InceptionFeatures(dimension=SHALLOWEST))


def _other_network(path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, path)


def _no_names(path: Path) -> None:
    torch.save([torch.zeros(1)], path)


def _no_weights(path: Path) -> None:
    path.write_bytes(b"not weights")


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (_other_network, "does not hold the network's weights"),
        (_no_names, "does not hold the network's weights"),
        (_no_weights, "is not a file of weights"),
    ],
)
@pytest.mark.parametrize("kind", ["inception", "dinov2"])
def test_files_that_are_not_the_networks_weights_are_refused(
    kind: str, write: Callable[[Path], None], problem: str, few: ImageSet, tmp_path: Path
) -> None:
    published = FID_INCEPTION_WEIGHTS if kind == "inception" else DINOV2_WEIGHTS
    path = tmp_path / published.file
    write(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    features = (
        InceptionFeatures(weights_sha256=sha256)
        if kind == "inception"
        else DinoFeatures(weights_sha256=sha256)
    )
    with pytest.raises(WeightsUnavailable, match=problem):
        embedded(handler(tmp_path), few, features)
