r"""Words that a latent's decoder direction points to, for SAEs on the last layer of a CLIP.

There a CLIP computes the embedding of a picture as LN(x) P, with the final layer norm LN(x) = g * (x - mean x) / std x
+ b and the projection P. Moving x along a decoder row w moves the embedding, but for its length, along

.. math:: u = (g \odot (w - \bar w)) P,

and the words are ranked by their cosines with u, after their mean was taken off: all texts share a part that
distinguishes none of them. No picture is needed. Earlier layers still pass through blocks that this leaves out.

Shape suffixes: s = d_sae, d = width of the tower, e = width of the common space, v = words, l = latents, r = mixtures.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from saev.latents.naming.calibration import N_SHUFFLED, BestWords, calibrated
from saev.latents.naming.words import EmbeddedWords
from saev.metrics.neighbours import cosine_chunks


def projected(W_dec_ld: Tensor, ln_weight_d: Tensor, projection_de: Tensor) -> Tensor:
    """Directions (l, e) in the common space; 0 where a row has nothing that passes the layer norm."""
    assert W_dec_ld.shape[1] == len(ln_weight_d) == len(projection_de), (
        f"rows {tuple(W_dec_ld.shape)}, layer norm {tuple(ln_weight_d.shape)}, projection {tuple(projection_de.shape)}"
    )
    centred_ld = W_dec_ld.float() - W_dec_ld.float().mean(1, keepdim=True)
    return (centred_ld * ln_weight_d.float()) @ projection_de.float()


def direction_words(
    W_dec_sd: Tensor,
    ln_weight_d: Tensor,
    projection_de: Tensor,
    words: EmbeddedWords,
    latents: Sequence[int],
    seed: int = 0,
) -> BestWords:
    """The words nearest to the decoder directions of latents, compared with random mixtures of all decoder rows.

    A mixture, with Gaussian weights, points to where the dictionary as a whole points, but stands for no latent: p is
    the share of mixtures whose best word is as near.

    Args:
        W_dec_sd: All decoder rows.
        ln_weight_d: Weight of the final layer norm, ln_post.
        projection_de: The visual projection.
        words: Embedded by the same CLIP.
        latents: The latents that are named.
        seed: Draws the mixtures.
    """
    generator = torch.Generator().manual_seed(seed)
    words_ve = words.embeddings_ve - words.embeddings_ve.mean(0)

    def cosines(rows_ld: Tensor) -> Iterator[Tensor]:
        return cosine_chunks(projected(rows_ld, ln_weight_d, projection_de), words_ve)

    def mixtures() -> Iterator[Tensor]:
        return cosines(torch.randn(N_SHUFFLED, len(W_dec_sd), generator=generator) @ W_dec_sd.float())

    return calibrated(cosines(W_dec_sd[list(latents)]), mixtures)
