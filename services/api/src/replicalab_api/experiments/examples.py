"""Bodies that the description shows and the tests send."""

from collections.abc import Mapping
from typing import Any

from replicalab.domain.presets import digits_study, digits_training

SMALL_STUDY: dict[str, Any] = {
    "kind": "replication",
    "name": "three sets of digits",
    "t_re": [0, 9, 18],
    "classifier_seeds": [0, 1],
}

BODIES: Mapping[str, Mapping[str, Any]] = {
    "small-study": {
        "summary": "Three reconstructed sets; everything else by default",
        "value": SMALL_STUDY,
    },
    "digits-study": {
        "summary": "The study of `replicalab demo`, every field written out",
        "value": digits_study().model_dump(mode="json"),
    },
    "digits-training": {
        "summary": "Train the generator of the demo",
        "value": digits_training().model_dump(mode="json"),
    },
}
