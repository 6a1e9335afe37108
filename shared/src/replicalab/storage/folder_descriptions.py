"""What a folder of images is, as a specification writes it."""

from pathlib import Path

from replicalab.domain.datasets import ImageFolderDataset
from replicalab.file_errors import InvalidDataset
from replicalab.storage.image_folders import ImageFolder, forms_of, scan

DEFAULT_TEST_SHARE = 0.2


def describe(
    folder: Path,
    *,
    name: str | None = None,
    resolution: int | None = None,
    split_seed: int = 0,
    test_share: float = DEFAULT_TEST_SHARE,
) -> ImageFolderDataset:
    """The specification of ``folder``; looks at every image's header and every byte.

    Args:
        folder: A folder of class folders, or one with ``train`` and ``test``.
        name: Its path under the worker's data folder; by default its own name.
        resolution: Height and width to resize to; by default the shortest side there is.
        split_seed: Of the stratified split, where the folder has none.
        test_share: Share of the images that this split tests on.

    Raises:
        InvalidDataset: The folder is not a data set; the detail names the file.
    """
    found = scan(folder)
    forms = forms_of(found.paths)
    shortest = min(min(width, height) for width, height, _ in forms)
    train, test = _sizes(found, test_share)
    try:
        return ImageFolderDataset(
            folder=name or folder.resolve().name,
            sha256=found.digest(),
            train_images=train,
            test_images=test,
            classes=len(found.classes),
            resolution=resolution or shortest,
            channels=1 if all(is_grey for _, _, is_grey in forms) else 3,
            split_seed=None if found.test else split_seed,
        )
    except ValueError as error:
        raise InvalidDataset(f"{folder} cannot be described: {error}") from error


def _sizes(found: ImageFolder, test_share: float) -> tuple[int, int]:
    if found.test:
        return len(found.train), len(found.test)
    test = max(len(found.classes), round(len(found.train) * test_share))
    return len(found.train) - test, test
