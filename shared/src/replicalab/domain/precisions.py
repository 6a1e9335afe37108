"""Number formats that networks may compute in."""

from typing import Literal

Precision = Literal["float32", "bfloat16", "float16"]
"""What matrix products and convolutions run in; weights, sums and statistics stay float32."""
