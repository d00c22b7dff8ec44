"""What a picture goes through before the model sees it: the library's own evaluation transform."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import open_clip.transform
import timm.data.transforms
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms import CenterCrop, InterpolationMode, Resize, ToTensor

from saev.errors import InputError
from saev.vit.images.base import NO_LABEL

Library = Literal["open_clip", "timm"]
MAX_SIDE = 2**14
"""Of a model's input, in pixels: about that of the largest pictures that are decoded."""

_KEYS: dict[str, frozenset[str]] = {
    "open_clip": frozenset(PreprocessCfg.__dataclass_fields__),
    "timm": frozenset({"input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode"}),
}
_RESIZE = (Resize, open_clip.transform.ResizeKeepRatio, timm.data.transforms.ResizeKeepRatio)
_PAD = (open_clip.transform.CenterCropOrPad, timm.data.transforms.CenterCropOrPad)


@dataclass(frozen=True)
class Preprocessing:
    """The evaluation transform of open_clip or timm, described by that library's own configuration."""

    library: Library
    config: dict[str, Any]

    @classmethod
    def from_dict(cls, content: object) -> "Preprocessing":
        """Rebuild what `to_dict` gave.

        Raises:
            InputError: Another library, other keys than that library's, or pictures that nobody has memory for.
        """
        if not isinstance(content, Mapping) or set(content) != {"library", "config"}:
            raise InputError(f"preprocessing must have the keys library and config, not {content!r}")
        library, config = content["library"], content["config"]
        if library not in get_args(Library):
            raise InputError(f"preprocessing library must be one of {get_args(Library)}, not {library!r}")
        if not isinstance(config, Mapping) or set(config) != _KEYS[library]:
            raise InputError(f"preprocessing of {library} must have the keys {sorted(_KEYS[library])}, not {config!r}")
        _check_sizes(library, config)
        return cls(library, dict(config))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values (tuples become lists)."""
        content: dict[str, Any] = json.loads(json.dumps({"library": self.library, "config": self.config}))
        return content

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the model's input in pixels."""
        size = self.config["size"] if self.library == "open_clip" else self.config["input_size"][-2:]
        return (size, size) if isinstance(size, int) else (size[0], size[1])

    def tensor(self, picture: Image.Image) -> Tensor:
        """Turn an RGB picture into the model's input (3, H, W), float32, normalised."""
        image: Any = picture
        for step in self._steps:
            image = step(image)
        assert isinstance(image, Tensor)
        return image

    def view(self, picture: Image.Image) -> Image.Image:
        """Return the RGB picture (W, H) as the model saw it: resized and cropped, not normalised."""
        for step in self._picture_steps:
            picture = step(picture)
        return picture.convert("RGB")

    def nearest(self, mask: Image.Image) -> Image.Image:
        """Move a mask of mode L as the picture is moved, by nearest neighbours; padding is 255, no label."""
        for step in self._mask_steps:
            mask = step(mask)
        return mask

    @cached_property
    def _steps(self) -> list[Callable[[Any], Any]]:
        # JSON knows no tuples, the libraries insist on them.
        config = {key: tuple(value) if isinstance(value, list) else value for key, value in self.config.items()}
        if self.library == "open_clip":
            return list(image_transform_v2(PreprocessCfg(**config), is_train=False).transforms)
        return list(create_transform(**config, is_training=False).transforms)

    @cached_property
    def _picture_steps(self) -> list[Callable[[Any], Any]]:
        to_tensor = (ToTensor, timm.data.transforms.MaybeToTensor)
        end = next(i for i, step in enumerate(self._steps) if isinstance(step, to_tensor))
        return self._steps[:end]

    @cached_property
    def _mask_steps(self) -> list[Callable[[Any], Any]]:
        geometry = (*_RESIZE, CenterCrop, *_PAD)
        return [_for_masks(step) for step in self._picture_steps if isinstance(step, geometry)]


def _check_sizes(library: Library, config: Mapping[str, Any]) -> None:
    """Refuse pictures of impossible size: pictures are resized to it before anybody sees how much memory it takes."""
    size = config["size"] if library == "open_clip" else config["input_size"]
    n_channels = int(library == "timm")
    sides = [size, size] if isinstance(size, int) else size[n_channels:] if isinstance(size, list | tuple) else []
    kept = config["crop_pct"] if library == "timm" else 1.0  # share of the resized side that is not cropped
    if type(kept) not in (int, float) or len(sides) != 2 or not all(type(side) is int for side in sides):
        raise InputError(f"preprocessing of {library}: {size!r} and crop_pct {kept!r} are no size of a picture")
    if not kept > 0 or min(sides) < 1 or not max(sides) / kept <= MAX_SIDE:
        raise InputError(
            f"preprocessing of {library}: pictures of {size!r} pixels and crop_pct {kept} are impossible: a side "
            f"has 1 to {MAX_SIDE} pixels"
        )


def _for_masks(step: Any) -> Any:
    step = copy.copy(step)
    if isinstance(step, _RESIZE):
        step.interpolation = InterpolationMode.NEAREST
    if isinstance(step, _PAD):
        step.fill = NO_LABEL
    return step
