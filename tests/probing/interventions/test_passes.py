"""What passes leave behind."""

import torch

import saev
from saev.probing.interventions.passes import Place
from saev.splicing.attach import token_layout
from saev.vit.load import load_backbone


@torch.no_grad()
def test_an_embedding_does_not_keep_all_tokens_in_memory() -> None:
    vit = load_backbone("timm", "test_vit", "random", 64)
    with saev.attach(vit, saev.ReLU(64, d_sae=8), 3) as inside:
        place = Place(inside, vit, 3, token_layout(vit).positions("content"))
        embedded_be, tokens_bqd = place.run(torch.randn(2, 3, 64, 64), lambda x_btd: x_btd)
    assert embedded_be.untyped_storage().nbytes() == embedded_be.nbytes
    assert tokens_bqd.shape == (2, 16, 64)
