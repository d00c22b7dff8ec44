"""The auxiliary loss that revives dead latents.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae, a = dead latents.
"""

from torch import Tensor

from saev.nn.functional import keep_top_k
from saev.nn.processes import DIVIDED_TOKENS, Processes


def auxk_loss(
    residual_bd: Tensor, h_ba: Tensor, decoder_ad: Tensor, k_aux: int, processes: Processes = DIVIDED_TOKENS
) -> Tensor:
    r"""Let the dead latents explain what the living ones left.

    The k_aux largest pre-activations among the dead latents reconstruct the residual
    :math:`e = z - \hat z`; the loss is :math:`\|e - \hat e\|^2 / \|e\|^2`, scaled down while there are
    fewer than k_aux dead latents. Gao et al. 2024, appendix A.2, https://arxiv.org/abs/2406.04093.
    With processes that divide the tokens the norm of e is that of all tokens, so that the mean over the processes is
    the loss of one process that has all tokens; those that divide the latents choose among the dead ones of all.

    Args:
        residual_bd: The error of the reconstruction; no gradient flows into it.
        h_ba: Pre-activations of the dead latents, of which there is at least one in some process.
        decoder_ad: What they decode to.
        k_aux: Dead latents that may be active on one token.
        processes: What the processes divide.

    Returns:
        A scalar.
    """
    residual_bd = residual_bd.detach()
    k = min(k_aux, processes.latents.total(h_ba.shape[1], h_ba.device))
    e_hat_bd = processes.latents.sum_on_graph(keep_top_k(h_ba, k, processes.latents) @ decoder_ad)
    error = (residual_bd - e_hat_bd).square().sum() * processes.tokens.size
    norm = processes.tokens.sum(residual_bd.square().sum() + 1e-8 * residual_bd.numel())
    return (k / k_aux) * error / norm
