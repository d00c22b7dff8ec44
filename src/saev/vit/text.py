"""A frozen CLIP with both towers: pictures and texts as points of one space.

Shape suffixes: n = pictures or texts, e = width of the common space, d = width of the vision tower.
"""

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any, final

import open_clip
import timm
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.timm_model import TimmModel
from open_clip.transform import merge_preprocess_dict
from open_clip.transformer import VisionTransformer
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize
from typing_extensions import override

from saev.errors import InputError, one_line
from saev.vit.causal_text import encode_text
from saev.vit.from_timm import HEADS as TIMM_HEADS
from saev.vit.network import hub
from saev.vit.open_clip_plan import HEADS, Plan, download, plan_of
from saev.vit.packaged_clip import PACKAGED
from saev.vit.preprocess import OpenClipPreprocessing, Preprocessing
from saev.vit.refusals import HUB, NAMER, Options
from saev.vit.weights import drop_heads, load_exactly, read_weights, weights_digest

PICTURES_AT_ONCE = 64
TEXTS_AT_ONCE = 256
_NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
_OLD_TEXT_NAMES = ("transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection")


@final
class Clip(nn.Module):
    """Embeds pictures and texts with unit norm; in evaluation mode for good, its parameters frozen."""

    def __init__(self, model: nn.Module, tokenizer: Any, preprocessing: Preprocessing, ckpt: str) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.ckpt = ckpt
        self.preprocessing = preprocessing
        self._tokenizer = tokenizer
        self.training = False

    @override
    def train(self, mode: bool = True) -> "Clip":
        return super().train(False)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings (n, e) of texts, on the CPU; what exceeds the model's context is cut off."""
        batches = (list(texts[i : i + TEXTS_AT_ONCE]) for i in range(0, len(texts), TEXTS_AT_ONCE))
        return _joined([encode_text(self.model, self._tokenizer(batch).to(self._device)) for batch in batches])

    def is_cut_off(self, text: str) -> bool:
        """Whether a text reaches the end of the model's context, so that what follows is not read."""
        tokens_nt = self._tokenizer([text, f"{text} more"])
        return torch.equal(tokens_nt[0], tokens_nt[1])

    def texts_digest(self, texts: Sequence[str]) -> str:
        """SHA-256 in hex over what the embeddings of these texts come from: the model's tensors, and the tokens."""
        digest = hashlib.sha256(f"{self.ckpt}\n{weights_digest(self.model, without=('visual',))}\n".encode())
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            tokens_nt = self._tokenizer(list(texts[start : start + TEXTS_AT_ONCE]))
            digest.update(f"{list(tokens_nt.shape)}\n".encode())
            digest.update(tokens_nt.numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    @torch.no_grad()
    def embed_images(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Unit embeddings (n, e) of pictures of any size and mode, on the CPU."""
        model: Any = self.model
        batches = (pictures[i : i + PICTURES_AT_ONCE] for i in range(0, len(pictures), PICTURES_AT_ONCE))
        return _joined([model.encode_image(self._images(batch).to(self._device)) for batch in batches])

    def visual_projection(self) -> tuple[Tensor, Tensor]:
        """What carries the vision tower's residual stream into the common space: ln_post's weight (d,), proj (d, e).

        Raises:
            InputError: The tower is none of open_clip's own, or pools by attention.
        """
        visual: Any = self.model.visual
        if not self.has_projection:
            raise InputError(
                f"{self.ckpt} has no single projection from its residual stream to the space of the text: "
                "only ViTs of open_clip itself have, such as ViT-B-32/openai"
            )
        ln_weight: Tensor = visual.ln_post.weight
        return ln_weight.detach().cpu(), visual.proj.detach().cpu()

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex over all of its tensors: which CLIP it is, whatever it is called."""
        return weights_digest(self.model)

    @cached_property
    def tower_digest(self) -> str:
        """What a recording by the vision tower has as its weights digest."""
        visual: Any = self.model.visual
        if isinstance(visual, TimmModel):  # of which a recording has the trunk
            return weights_digest(visual.trunk, without=TIMM_HEADS)
        return weights_digest(visual, without=HEADS)

    @property
    def has_projection(self) -> bool:
        """Whether one projection carries the vision tower's residual stream into the common space."""
        visual: Any = self.model.visual
        return isinstance(visual, VisionTransformer) and visual.proj is not None and visual.attn_pool is None

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _images(self, pictures: Sequence[Image.Image]) -> Tensor:
        return torch.stack([self.preprocessing.tensor(picture.convert("RGB")) for picture in pictures])


def load_clip(ckpt: str, weights: str | None = None, options: Options = NAMER) -> Clip:
    """Build a CLIP or SigLIP of open_clip with both towers and load its weights.

    Call it before any long work: what is wrong with the model is found here.

    Args:
        ckpt: ``ARCH/TAG`` of open_clip, ``hf-hub:...``, or ``saev-demo/scenes``, which comes with saev.
        weights: A .safetensors or .pt file, ``random`` (the same ones each time), or None: the network.
        options: What the refusals call the model and its weights.

    Raises:
        InputError: Unknown model or tag, a model or a file without text tower, weights that do not fit, or what has to
            come from the network does not.
    """
    _check_has_text(ckpt, options)
    plan = plan_of("siglip" if "siglip" in ckpt.lower() else "clip", ckpt, weights, options)
    if "text_cfg" not in plan.model:
        raise _no_text(f"{options.ckpt} {ckpt} has")
    tokenizer = _tokenizer(ckpt, plan)
    file = None if weights == "random" else Path(weights) if weights is not None else download(ckpt, plan, options)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = _build(plan, ckpt)
    if file is not None:
        load_exactly(model, _fitted(read_weights(file), model, file, options), file, ckpt, options)
    config = merge_preprocess_dict(plan.preprocess, {"size": model.visual.image_size})
    return Clip(model, tokenizer, OpenClipPreprocessing(config), ckpt)


def _check_has_text(ckpt: str, options: Options) -> None:
    """A timm model has a vision tower only; without this check its name would be called unknown."""
    name = ckpt.partition("/")[0].partition(".")[0]
    if not ckpt.startswith(HUB) and name not in open_clip.list_models() and timm.is_model(name):
        raise _no_text(f"{options.ckpt} {ckpt} is a model of timm and has")


def _no_text(what: str) -> InputError:
    return InputError(
        f"{what} no text tower: both towers are needed, of a CLIP or SigLIP of open_clip such as ViT-B-32/openai"
    )


def _build(plan: Plan, ckpt: str) -> Any:
    config = deepcopy(plan.model)
    config["vision_cfg"]["timm_model_pretrained"] = False
    if "hf_model_name" in config["text_cfg"]:
        config["text_cfg"]["hf_model_pretrained"] = False
    custom = config.pop("custom_text", False) or "hf_model_name" in config["text_cfg"]
    kind = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP if custom else open_clip.CLIP
    is_foreign = "hf_model_name" in config["text_cfg"]
    with hub() if is_foreign else nullcontext() as no_network:
        try:
            return kind(**config)
        except Exception as error:  # text towers of Hugging Face come with another package and over the network
            if not is_foreign:
                raise
            raise _no_part("text tower", ckpt, error, no_network) from error


def _tokenizer(ckpt: str, plan: Plan) -> Any:
    if ckpt.startswith(PACKAGED):
        text = plan.model["text_cfg"]
        return open_clip.SimpleTokenizer(context_length=text["context_length"], **text["tokenizer_kwargs"])
    name = ckpt if ckpt.startswith(HUB) else ckpt.partition("/")[0]
    text = (open_clip.get_model_config(name) or {}).get("text_cfg", {})
    with hub() if name.startswith(HUB) or "hf_tokenizer_name" in text else nullcontext() as no_network:
        try:
            return open_clip.get_tokenizer(name)
        except Exception as error:  # as above
            raise _no_part("tokenizer", ckpt, error, no_network) from error


def _no_part(what: str, ckpt: str, error: Exception, no_network: str | None) -> InputError:
    return InputError(
        f"cannot get the {what} of {ckpt} ({no_network or one_line(error)}): it needs the package 'transformers' and, "
        "the first time, the network; the CLIPs of OpenAI and LAION, such as ViT-B-32/openai, need neither"
    )


def _fitted(weights: dict[str, Tensor], model: Any, file: Path, options: Options) -> dict[str, Tensor]:
    """Weights under the names of the model, as open_clip's own loading changes them."""
    weights = convert_state_dict(model, drop_heads(weights, _NO_WEIGHTS))
    if not any(key.split(".", 1)[0] in ("text", *_OLD_TEXT_NAMES) for key in weights):
        raise _no_text(f"{options.weights} {file} holds")
    if not isinstance(model, open_clip.CLIP):
        weights = convert_to_custom_text_state_dict(weights)
    own = model.state_dict()
    weights.pop("text.transformer.embeddings.position_ids", None)
    for key in ("logit_scale", "logit_bias"):  # their shapes vary, and names don't depend on them
        weights.pop(key, None)
        if key in own:
            weights[key] = own[key]
    return weights


def _joined(batches: list[Tensor]) -> Tensor:
    assert batches, "nothing to embed"
    return normalize(torch.cat([batch.float().cpu() for batch in batches]), dim=-1)
