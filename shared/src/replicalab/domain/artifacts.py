"""Names and forms of everything a task stores."""

import hashlib
from enum import StrEnum, unique
from typing import Annotated

from pydantic import Field

from replicalab.domain.models import Frozen

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

TRAIN_IMAGES = "train.npz"
TEST_IMAGES = "test.npz"
DATASET_DESCRIPTION = "dataset.json"
RECONSTRUCTED_IMAGES = "images.npz"
GENERATOR_WEIGHTS = "generator.safetensors"
GENERATOR_DESCRIPTION = "generator.json"
TRAINING_CURVE = "training-curve.json"
CLASSIFIER_WEIGHTS = "classifier.safetensors"
TEST_LOGITS = "test-logits.npz"
DETECTIONS = "detections.npz"
HEAT_MAPS = "heat-maps.npz"
FEATURES = "features.npz"
MEASUREMENTS = "measurements.json"
PCA = "pca.npz"
REPORT = "report.html"
RESULTS_CSV = "results.csv"
RESULTS_JSON = "results.json"
RESULTS_PARQUET = "results.parquet"
RESULTS_TABLE = "table.tex"

BINARY = "application/octet-stream"
NPZ = "application/vnd.numpy.npz"
SAFETENSORS = "application/vnd.safetensors"
JSON = "application/json"
CSV = "text/csv; charset=utf-8"
PARQUET = "application/vnd.apache.parquet"
LATEX = "application/x-tex"
HTML = "text/html; charset=utf-8"
PNG = "image/png"
SVG = "image/svg+xml"


class ArtifactRef(Frozen):
    """Bytes in the object store, named by what they are."""

    sha256: Sha256
    size_bytes: int = Field(ge=0)
    media_type: str

    @property
    def store_key(self) -> str:
        """Where the bytes lie: content addressed, so a key is never rewritten."""
        return f"cas/{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256}"


@unique
class Damage(StrEnum):
    """What is wrong with stored bytes."""

    CORRUPT = "corrupt"
    MISSING = "missing"


class NamedArtifact(Frozen):
    """An artifact under the name its task gave it."""

    name: str
    ref: ArtifactRef


def snapshot_weights(images_seen: int) -> str:
    """The half-life average as it was after so many images."""
    return f"snapshot-{images_seen}.safetensors"


def power_averages(images_seen: int) -> str:
    """The power-function averages as they were after so many images."""
    return f"power-averages-{images_seen}.safetensors"


def ref_of(body: bytes, media_type: str) -> ArtifactRef:
    """The reference of ``body``."""
    return ArtifactRef(
        sha256=hashlib.sha256(body).hexdigest(), size_bytes=len(body), media_type=media_type
    )
