"""The auxiliary loss that revives dead latents.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae, a = dead latents.
"""

from torch import Tensor

from saev.nn.functional import keep_top_k


def auxk_loss(residual_bd: Tensor, h_bs: Tensor, W_dec: Tensor, dead_s: Tensor, k_aux: int) -> Tensor:
    r"""Let the dead latents explain what the living ones left.

    The k_aux largest pre-activations among the dead latents reconstruct the residual
    :math:`e = z - \hat z`; the loss is :math:`\|e - \hat e\|^2 / \|e\|^2`, scaled down while there are
    fewer than k_aux dead latents. Gao et al. 2024, appendix A.2, https://arxiv.org/abs/2406.04093.

    Args:
        residual_bd: The error of the reconstruction; no gradient flows into it.
        h_bs: Pre-activations of all latents.
        W_dec: (s, d) decoder.
        dead_s: Which latents count as dead.
        k_aux: Dead latents that may be active on one token.

    Returns:
        A scalar; 0 when no latent is dead.
    """
    dead_a = dead_s.nonzero().squeeze(-1)
    if len(dead_a) == 0:
        # Stays on the graph, because DDP wants a gradient for the same parameters on each rank.
        return h_bs.sum() * 0.0
    residual_bd = residual_bd.detach()
    k = min(k_aux, len(dead_a))
    e_hat_bd = keep_top_k(h_bs[:, dead_a], k) @ W_dec[dead_a]
    error = (residual_bd - e_hat_bd).square().sum()
    return (k / k_aux) * error / (residual_bd.square().sum() + 1e-8 * residual_bd.numel())
