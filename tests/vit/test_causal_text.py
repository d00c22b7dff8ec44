"""Text towers on as many positions as their prompts take, against the whole context."""

from typing import Any

import open_clip
import pytest
import torch
from torch.nn.functional import normalize

from saev.vit import causal_text

TEXTS = ["a photo of a cat", "Bokeh", "a close-up photo of stripes and dots", "é 猫"]
LONG = "word " * 100
_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 3}
_VISION = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}


def model(custom: bool, **text: object) -> Any:
    torch.manual_seed(1)
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    return kind(embed_dim=32, vision_cfg=_VISION, text_cfg={**_TEXT, **text}).eval()


def positions(model: Any) -> list[int]:
    """How many positions each forward pass of the transformer has."""
    tower = model if isinstance(model, open_clip.CLIP) else model.text
    seen: list[int] = []
    tower.transformer.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape[1]))
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("custom", [False, True])
@pytest.mark.parametrize(
    "text", [{}, {"pool_type": "eos", "eos_id": 49407}, {"proj_bias": True}, {"proj_type": "none"}]
)
def test_a_causal_tower_gives_the_same_from_fewer_positions(
    text: dict[str, object], custom: bool, dtype: torch.dtype
) -> None:
    one = model(custom, **text).to(dtype)
    tokens_nt = open_clip.get_tokenizer("ViT-B-32")(TEXTS)
    seen = positions(one)
    with torch.no_grad():
        whole_ne = one.encode_text(tokens_nt)
        few_ne = causal_text.encode_text(one, tokens_nt)
        again_ne = one.encode_text(tokens_nt)
    assert seen == [77, 11, 77]
    close = 1e-6 if dtype == torch.float32 else 1e-14
    assert torch.allclose(normalize(few_ne, dim=-1), normalize(whole_ne, dim=-1), rtol=0, atol=close)
    assert torch.equal(again_ne, whole_ne)  # the model is as it was
    assert few_ne.shape == whole_ne.shape


def test_a_text_that_fills_the_context_takes_all_of_it() -> None:
    one = model(custom=False)
    tokens_nt = open_clip.get_tokenizer("ViT-B-32")([*TEXTS, LONG])
    seen = positions(one)
    with torch.no_grad():
        assert torch.equal(causal_text.encode_text(one, tokens_nt), one.encode_text(tokens_nt))
    assert seen == [77, 77]


@pytest.mark.parametrize(
    "text",
    [
        {"no_causal_mask": True},
        {"no_causal_mask": True, "pool_type": "last"},
        {"pool_type": "last"},
        {"pool_type": "first"},
        {"embed_cls": True, "pool_type": "last"},
    ],
)
def test_other_towers_run_whole(text: dict[str, object]) -> None:
    one = model(custom=True, **text)
    tokens_nt = open_clip.get_tokenizer("ViT-B-32")(TEXTS)
    seen = positions(one)
    with torch.no_grad():
        assert torch.equal(causal_text.encode_text(one, tokens_nt), one.encode_text(tokens_nt))
    assert len(set(seen)) == 1
    assert seen[0] >= 77


def test_a_mask_of_another_kind_is_left_alone() -> None:
    one = model(custom=False)
    one.attn_mask[3, 70] = 0  # position 3 sees one behind it
    seen = positions(one)
    with torch.no_grad():
        causal_text.encode_text(one, open_clip.get_tokenizer("ViT-B-32")(TEXTS))
    assert seen == [77]
