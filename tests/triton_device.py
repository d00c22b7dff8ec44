"""Where Triton's kernels are tested: on a GPU if there is one, else interpreted, on the CPU."""

import os

import torch

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
if not GPU:
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it when it is imported
