"""What open_clip knows of a model before it is built, and where its weights come from."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import open_clip
from open_clip.pretrained import download_pretrained, download_pretrained_from_hf
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from saev.errors import InputError, one_line
from saev.files import read_regular
from saev.vit.network import hub
from saev.vit.packaged_clip import PACKAGED, config_of, weights_of, with_own_words
from saev.vit.refusals import HUB, MODEL, Options, not_had, unknown

_MAX_CONFIG_BYTES = 2**24
HEADS = ("proj", "attn_pool", "attn_pool_contrastive")
"""What is no part of a vision tower that is recorded."""


@dataclass(frozen=True)
class Plan:
    """How open_clip builds a model and prepares pictures for it; the tag's entry, or None where there is none."""

    model: dict[str, Any]
    preprocess: dict[str, Any]
    tag: dict[str, Any] | None


def plan_of(family: str, ckpt: str, weights: str | None, options: Options = MODEL) -> Plan:
    """Find a model (see `ModelChoice`) in open_clip, on the hub, or among those that come with saev.

    Raises:
        InputError: Unknown model or tag, a tag that is missing, or a hub that cannot be reached.
    """
    if ckpt.startswith(HUB):
        return _hub_plan(ckpt, options)
    is_own = family == "clip" and ckpt.startswith(PACKAGED)
    return _packaged_plan(ckpt, options) if is_own else _plan(family, ckpt, weights, options)


def architectures(family: str) -> list[str]:
    """Names that open_clip has for models of a family."""
    return [name for name in open_clip.list_models() if ("siglip" in name.lower()) == (family == "siglip")]


def download(ckpt: str, plan: Plan, options: Options = MODEL) -> Path:
    """The file of a model's weights, fetched from the network where it was not fetched before.

    Raises:
        InputError: It cannot be had.
    """
    if ckpt.startswith(PACKAGED):
        return weights_of(ckpt, options)
    with hub() as no_network:
        try:
            if plan.tag is None:
                return Path(download_pretrained_from_hf(ckpt.removeprefix(HUB)))
            return Path(download_pretrained(plan.tag))
        except Exception as error:  # the network and the hub fail in a hundred ways
            raise not_had(ckpt, error, no_network, options) from error


def _plan(family: str, ckpt: str, weights: str | None, options: Options) -> Plan:
    arch, _, tag = ckpt.partition("/")
    if arch not in (names := architectures(family)):
        raise unknown(f"{family} architecture of open_clip", arch, names, options)
    tags = open_clip.list_pretrained_tags_by_model(arch)
    found = open_clip.get_pretrained_cfg(arch, tag)
    if tag and not found:
        raise unknown(f"tag of {arch}", tag, tags, options)
    if not tag and weights != "random":
        why = (
            "a weights file does not say its preprocessing nor its GELU, the tag does"
            if weights
            else "the tag says which weights"
        )
        raise InputError(f"{options.ckpt} {ckpt} needs a tag ({why}): {_some_tags(arch, tags)}")
    model = open_clip.get_model_config(arch)
    # OpenAI's weights were trained with QuickGELU; open_clip builds GELU for them and only warns.
    model["quick_gelu"] = model.get("quick_gelu", False) or found.get("quick_gelu", False)
    return Plan(model, merge_preprocess_dict(asdict(PreprocessCfg()), found), found or None)


def _some_tags(arch: str, tags: list[str]) -> str:
    return ", ".join(f"{arch}/{tag}" for tag in tags[:6]) or f"open_clip has none for {arch}, use {HUB}..."


def _hub_plan(ckpt: str, options: Options) -> Plan:
    with hub() as no_network:
        try:
            path = download_pretrained_from_hf(ckpt.removeprefix(HUB), filename="open_clip_config.json")
        except Exception as error:  # the network and the hub fail in a hundred ways
            raise not_had(ckpt, error, no_network, options) from error
    return _configured(Path(path), ckpt, options)


def _packaged_plan(ckpt: str, options: Options) -> Plan:
    config = config_of(ckpt, options)
    plan = _configured(config, ckpt, options)
    return replace(plan, model=with_own_words(plan.model, config))


def _configured(path: Path, ckpt: str, options: Options) -> Plan:
    """What a configuration says, in the form in which the hub has it."""
    try:
        config = json.loads(read_regular(path, _MAX_CONFIG_BYTES))
        preprocess = merge_preprocess_dict(asdict(PreprocessCfg()), config.get("preprocess_cfg", {}))
        return Plan(config["model_cfg"], preprocess, None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{options.ckpt} {ckpt} is no model of open_clip: {path}: {one_line(error)}") from error
