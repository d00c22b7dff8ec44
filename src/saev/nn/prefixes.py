"""Losses of an SAE that must reconstruct with a part of its codes, too.

Shape suffixes: b = tokens, d = d_in, s = d_sae, n = selected entries, g = groups.
"""

from torch import Tensor

from saev.nn.pattern import Pattern, combine


def nested_reconstructions(
    values_n: Tensor, pattern: Pattern, group_n: Tensor, n_groups: int, decoder_sd: Tensor
) -> Tensor:
    """What the codes of groups 0, 0 and 1, 0 to 2, ... decode to: (b, g, d), the last one that of all codes.

    Each code is decoded once: sums within the groups of a token are added up over the groups.

    Args:
        values_n: The codes.
        pattern: Where they stand.
        group_n: The group of each code, from 0.
        n_groups: Number of groups.
        decoder_sd: The rows that the latents decode to.
    """
    place_n = pattern.rows_n * n_groups + group_n
    place_n, order_n = place_n.sort(stable=True)
    grouped = Pattern.of_sorted(place_n, pattern.latents_n[order_n], pattern.n_rows * n_groups, pattern.d_sae)
    parts = combine(values_n[order_n], decoder_sd, grouped)
    return parts.view(pattern.n_rows, n_groups, -1).cumsum(1)


def nested_loss(z_bd: Tensor, z_hat_bgd: Tensor) -> Tensor:
    """Mean squared error over tokens and dimensions, averaged over the nested reconstructions."""
    return (z_hat_bgd - z_bd[:, None]).square().mean()
