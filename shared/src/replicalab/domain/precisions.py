"""Number formats that networks may compute in."""

from typing import Literal

Precision = Literal["float32", "bfloat16", "float16"]
"""What matrix products and convolutions may run in; weights, sums and statistics stay float32.

The coarsest format that a worker may use: one that only emulates bfloat16 computes in float32.
"""
