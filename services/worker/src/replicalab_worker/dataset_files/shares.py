"""A training and a test share of every class.

scikit-learn takes longer to import than anything but torch, and few tasks split a data set: they
import this module when they run.
"""

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split

from replicalab_worker.dataset_files.labelled_images import Places


def shares_of_classes(
    labels: npt.NDArray[np.int64], *, tests: int, seed: int
) -> tuple[Places, Places]:
    """Places of the training and of the test images, in the order drawn by ``seed``.

    Args:
        labels: The class of every image.
        tests: Images to test on; every class has its share of them, up to rounding.
        seed: Of NumPy's legacy generator; equal seeds draw equal splits.
    """
    train, test = train_test_split(
        np.arange(len(labels)), test_size=tests, random_state=seed, stratify=labels
    )
    return train, test
