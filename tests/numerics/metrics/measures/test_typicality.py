"""Tenths of every class from its core to its rim."""

import numpy as np
import pytest

from replicalab_metrics.measures.centroids import class_centroids, distances_to_own
from replicalab_metrics.measures.inputs import UnmeasurableInput
from replicalab_metrics.measures.neighbours import squared_radii
from replicalab_metrics.measures.typicality import distances_to_centroids, tenths


def test_the_rim_of_a_class_is_what_is_far_from_its_centroid() -> None:
    labels = np.repeat([0, 1], 100)
    radii = np.tile(np.arange(1, 101), 2) * np.where(labels == 1, 50.0, 1.0)
    angles = np.tile([0.0, np.pi], 100)
    features = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    features[labels == 1] += 1000
    found = tenths(distances_to_centroids(features, labels), labels)
    assert np.bincount(found[labels == 1]).tolist() == [10] * 10, "a wide class fills no rim"
    assert set(found[:8]) == {0}
    assert set(found[92:100]) == {9}


def test_a_lone_sample_is_far_from_its_neighbours() -> None:
    features = np.concatenate([np.random.default_rng(0).uniform(size=(39, 2)), [[5.0, 5.0]]])
    distances = squared_radii(features, 3)
    assert tenths(distances, np.zeros(40, dtype=np.int64))[39] == 9
    assert distances.argmax() == 39


def test_equal_distances_share_a_tenth_whatever_their_order() -> None:
    labels = np.zeros(20, dtype=np.int64)
    distances = np.repeat([3.0, 1.0, 2.0, 2.0], 5)
    order = np.random.default_rng(1).permutation(20)
    found = tenths(distances, labels)
    assert len(set(found[distances == 2.0])) == 1
    assert tenths(distances[order], labels).tolist() == found[order].tolist()


def test_a_class_of_one_is_in_the_middle() -> None:
    assert tenths(np.array([7.0]), np.array([0])).tolist() == [5]


def test_a_class_that_the_reference_lacks_is_refused() -> None:
    features = np.eye(3)
    centroids = class_centroids(features, np.array([0, 0, 2]))
    assert np.isnan(centroids[1]).all()
    for labels in ([0, 1, 2], [0, 0, 3]):
        with pytest.raises(UnmeasurableInput, match="no images of classes"):
            distances_to_own(features, np.array(labels), centroids)


def test_nothing_has_no_tenths() -> None:
    with pytest.raises(UnmeasurableInput, match="there must be some"):
        tenths(np.empty(0), np.empty(0, dtype=np.int64))
