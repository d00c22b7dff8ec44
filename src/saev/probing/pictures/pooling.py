"""How the values of a picture's tokens become one."""

from typing import Literal

Pooling = Literal["max", "mean", "sum", "count"]
