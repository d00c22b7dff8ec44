"""Small SAEs of every architecture, with weights that are nowhere zero by accident."""

from typing import Any

import torch

from saev.nn import ARCHITECTURES, Progress, SparseAutoencoder

D_IN, D_SAE = 6, 40

SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "Archetypal": ("Archetypal", {"k": 4, "n_points": 25, "delta": 0.3}),
    "Archetypal-batch": ("Archetypal", {"k": 4, "per": "batch", "n_points": 60}),
    "BatchTopK": ("BatchTopK", {"k": 4}),
    "Gated": ("Gated", {"l1_coeff": 0.3}),
    "HierarchicalTopK": ("HierarchicalTopK", {"k": 5}),
    "JumpReLU": ("JumpReLU", {"threshold": 0.5}),
    "JumpReLU-tanh": ("JumpReLU", {"penalty": "tanh", "threshold": 0.2}),
    "MatchingPursuit": ("MatchingPursuit", {"k": 4}),
    "Matryoshka": ("Matryoshka", {"k": 4}),
    "Matryoshka-random": ("Matryoshka", {"k": 4, "random_prefixes": 3}),
    "Matryoshka-token": ("Matryoshka", {"k": 4, "per": "token", "prefixes": [7, 20]}),
    "ReLU": ("ReLU", {"l1_coeff": 0.3}),
    "ReLU-weighted": ("ReLU", {"l1_coeff": 0.3, "l1": "weighted"}),
    "TopK": ("TopK", {"k": 4}),
}


def build(case: str, dtype: torch.dtype = torch.float32) -> SparseAutoencoder:
    """An SAE that has seen some batches, in evaluation mode, with a mean and a scale of each dimension."""
    torch.manual_seed(0)
    name, options = SMALL[case]
    sae = ARCHITECTURES[name](D_IN, d_sae=D_SAE, **options).to(dtype)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        sae.constrain()
        sae.mean_d.copy_(torch.randn(D_IN))
        sae.scale_d.copy_(torch.rand(D_IN) + 0.5)
        for number in range(3):
            sae.training_pass(torch.randn(20, D_IN, dtype=dtype), Progress(number))
    return sae.eval()
