"""What a benchmark asks of a library.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

DENSE = {"relu", "jumprelu", "gated"}
GROUPED = {"batchtopk", "matryoshka"}
OFFERS = {
    "product": {"topk", *GROUPED},
    "ours": {"topk", *GROUPED, *DENSE, "sweep"},
    "sparsify": {"topk"},
    "sae_lens": {"topk", *GROUPED, *DENSE},
    "dictionary_learning": {"topk", *GROUPED, *DENSE},
    "overcomplete": {"topk", "batchtopk", "relu", "jumprelu"},
    "original_saev": {"relu"},
}
BFLOAT16 = {"product", "ours", "sae_lens", "dictionary_learning", "sparsify"}
CUDA = {"product", "ours", "sparsify"}


@dataclass(frozen=True)
class Options:
    """One SAE and its training; what is not here is as the library recommends it.

    Args:
        architecture: topk, batchtopk, matryoshka, relu, jumprelu, gated, or sweep (four TopK SAEs in one step).
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: Active latents for a token, or what the sparsity is meant to come to.
        n_steps: Steps of the run, for schedules.
        batch_size: Tokens of a batch.
        seed: Fixes the first weights.
        coeff: Weight of the sparsity penalty, in the library's own units.
        encoder: float32, or bfloat16 for what the library computes in bfloat16 on request.
        dead_after: Tokens without firing after which AuxK takes a latent for dead; 0 is the library's own choice.
        lr_factor: Multiplies the library's learning rate.
        optimizer: One of those that the library offers instead of its default.
        clip: Norm that our gradients are clipped to, 0 for none; libraries have theirs.
        device: cpu or cuda.
    """

    architecture: str
    d_in: int
    d_sae: int
    k: int
    n_steps: int
    batch_size: int
    seed: int = 0
    coeff: float = 1.0
    encoder: str = "float32"
    dead_after: int = 0
    lr_factor: float = 1.0
    optimizer: str = ""
    clip: float = 0.0
    device: str = "cpu"

    def lacking(self, library: str) -> str | None:
        """What the library does not have of what is asked for."""
        if self.architecture not in OFFERS[library]:
            return f"no {self.architecture}"
        if self.device == "cuda" and library not in CUDA:
            return "only tried on the CPU"
        if library == "sparsify" and (self.device == "cuda") != (self.encoder == "bfloat16"):
            return "bfloat16 on CUDA, and only there"
        return "no bfloat16 on the CPU" if self.encoder == "bfloat16" and library not in BFLOAT16 else None

    @property
    def prefixes(self) -> list[int]:
        """Where the groups of a Matryoshka SAE end: five, each twice as large as the one before."""
        ends = [self.d_sae // 2**i for i in range(4, -1, -1)]
        assert ends[0] > 0, f"d_sae={self.d_sae} is too small for five groups"
        return ends


class Trainer(ABC):
    """One SAE in training by one library."""

    @abstractmethod
    def step(self, x_bd: Tensor) -> None:
        """One complete training step on raw float32 activations."""

    @abstractmethod
    def finish(self) -> None:
        """Get ready for evaluation."""

    @abstractmethod
    def encode(self, x_bd: Tensor) -> Tensor:
        """Codes (b, s) of raw activations, as after training."""

    @abstractmethod
    def decode(self, f_bs: Tensor) -> Tensor:
        """Raw reconstruction (b, d)."""

    @abstractmethod
    def directions(self) -> Tensor:
        """The decoder (s, d)."""
