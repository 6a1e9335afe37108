"""Bodies that the description shows and the tests send."""

from collections.abc import Mapping
from typing import Any

SMALL_STUDY: dict[str, Any] = {
    "kind": "replication",
    "name": "three sets of digits",
    "t_re": [0, 9, 18],
    "classifier_seeds": [0, 1],
}

BODIES: Mapping[str, Mapping[str, Any]] = {
    "small-study": {"summary": "Three reconstructed sets, two seeds", "value": SMALL_STUDY},
}
