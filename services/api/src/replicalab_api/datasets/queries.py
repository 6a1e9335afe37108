"""What query strings about data sets may say."""

from pydantic import Field

from replicalab.domain.datasets import (
    DEFAULT_TEST_SHARE,
    LARGEST_RESOLUTION,
    SMALLEST_RESOLUTION,
    DatasetRecipe,
)
from replicalab.domain.models import MAX_SEED
from replicalab_api.imports.queries import ImportQuery


class DatasetQuery(ImportQuery):
    """What is known of an uploaded data set besides its bytes, and what to do to its images."""

    resolution: int | None = Field(
        default=None,
        ge=SMALLEST_RESOLUTION,
        le=LARGEST_RESOLUTION,
        description="Crop images to their middle square and resize them to so many pixels.",
    )
    split_seed: int = Field(
        default=0, ge=0, le=MAX_SEED, description="Of the split, where the file has none."
    )
    test_share: float = Field(
        default=DEFAULT_TEST_SHARE, gt=0, le=0.9, description="Share that this split tests on."
    )

    @property
    def recipe(self) -> DatasetRecipe:
        """What is done to the images."""
        return DatasetRecipe(
            resolution=self.resolution, split_seed=self.split_seed, test_share=self.test_share
        )
