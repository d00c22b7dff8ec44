"""What a picture goes through before the model sees it: mostly the library's own evaluation transform."""

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, final

import open_clip.transform
import timm.data.transforms
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms import CenterCrop, InterpolationMode, Resize, ToTensor
from typing_extensions import override

from saev.errors import InputError, one_line
from saev.registry import Registry
from saev.vit.images.base import NO_LABEL

MAX_SIDE = 2**14
"""Of a model's input, in pixels: about that of the largest pictures that are decoded."""

_RESIZE = (Resize, open_clip.transform.ResizeKeepRatio, timm.data.transforms.ResizeKeepRatio)
_PAD = (open_clip.transform.CenterCropOrPad, timm.data.transforms.CenterCropOrPad)


class Preprocessing(ABC):
    """What a picture goes through before the model sees it. Files describe it by its library and its configuration.

    Args:
        config: Plain JSON values that say all about it; tuples become lists in files.

    Raises:
        InputError: If it cannot be used.
    """

    library: ClassVar[str] = ""
    """Its name in files, by default that of the class."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = dict(config)

    @property
    @abstractmethod
    def image_size(self) -> tuple[int, int]:
        """Height and width of the model's input in pixels."""

    @abstractmethod
    def tensor(self, picture: Image.Image) -> Tensor:
        """Turn an RGB picture into the model's input (3, H, W), float32, normalised."""

    @abstractmethod
    def view(self, picture: Image.Image) -> Image.Image:
        """Return the RGB picture (W, H) as the model saw it: resized and cropped, not normalised."""

    def tensor_of_view(self, view: Image.Image) -> Tensor:  # noqa: ARG002 - for classes that say it
        """Turn what `view` gave into what `tensor` gives of the same picture: what is left is normalisation.

        Raises:
            InputError: If the class does not say how.
        """
        raise InputError(
            f"preprocessing {_name(type(self))} does not say how pictures go on that were resized and cropped: give "
            "its class a method tensor_of_view"
        )

    @abstractmethod
    def nearest(self, mask: Image.Image) -> Image.Image:
        """Move a mask of mode L as the picture is moved, by nearest neighbours; padding is 255, no label."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values (tuples become lists)."""
        content: dict[str, Any] = json.loads(json.dumps({"library": _name(type(self)), "config": self.config}))
        return content

    @staticmethod
    def from_dict(content: object) -> "Preprocessing":
        """Rebuild what `to_dict` gave.

        Raises:
            InputError: Another library, a configuration that is not one of that library, or pictures that nobody has
                memory for.
        """
        if not isinstance(content, Mapping) or set(content) != {"library", "config"}:
            raise InputError(f"preprocessing must have the keys library and config, not {content!r}")
        kind, config = PREPROCESSINGS.named(content["library"], "the recording"), content["config"]
        if not isinstance(config, Mapping):
            raise InputError(f"preprocessing of {content['library']} must have a config of keys, not {config!r}")
        try:
            found = kind(config)
            _check_side(content["library"], found.image_size, 1.0)
        except InputError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise InputError(f"preprocessing of {content['library']}: {config!r}: {one_line(error)}") from error
        return found


def _name(kind: type[Preprocessing]) -> str:
    return kind.library or kind.__name__


PREPROCESSINGS: Registry[Preprocessing] = Registry(
    Preprocessing, "preprocessing", "saev.preprocessings", lambda kind: (_name(kind),)
)


class _LibraryTransform(Preprocessing):
    """The evaluation transform of a library, described by that library's own configuration."""

    keys: ClassVar[frozenset[str]]

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        if set(config) != self.keys:
            raise InputError(f"preprocessing of {self.library} must have the keys {sorted(self.keys)}, not {config!r}")
        _check_sizes(self.library, config)

    @abstractmethod
    def _transforms(self, config: dict[str, Any]) -> Sequence[Callable[[Any], Any]]:
        """The steps from a picture to a tensor."""

    @override
    def tensor(self, picture: Image.Image) -> Tensor:
        return _tensor(picture, self._steps)

    @override
    def view(self, picture: Image.Image) -> Image.Image:
        for step in self._picture_steps:
            picture = step(picture)
        return picture.convert("RGB")

    @override
    def tensor_of_view(self, view: Image.Image) -> Tensor:
        return _tensor(view, self._steps[len(self._picture_steps) :])

    @override
    def nearest(self, mask: Image.Image) -> Image.Image:
        for step in self._mask_steps:
            mask = step(mask)
        return mask

    @cached_property
    def _steps(self) -> Sequence[Callable[[Any], Any]]:
        # JSON knows no tuples, the libraries insist on them.
        return self._transforms(
            {key: tuple(value) if isinstance(value, list) else value for key, value in self.config.items()}
        )

    @cached_property
    def _picture_steps(self) -> Sequence[Callable[[Any], Any]]:
        to_tensor = (ToTensor, timm.data.transforms.MaybeToTensor)
        end = next(i for i, step in enumerate(self._steps) if isinstance(step, to_tensor))
        return self._steps[:end]

    @cached_property
    def _mask_steps(self) -> list[Callable[[Any], Any]]:
        geometry = (*_RESIZE, CenterCrop, *_PAD)
        return [_for_masks(step) for step in self._picture_steps if isinstance(step, geometry)]


@final
class OpenClipPreprocessing(_LibraryTransform):
    """The evaluation transform of open_clip; its configuration is that of `open_clip.transform.PreprocessCfg`."""

    library = "open_clip"
    keys = frozenset(PreprocessCfg.__dataclass_fields__)

    @property
    @override
    def image_size(self) -> tuple[int, int]:
        size = self.config["size"]
        return (size, size) if isinstance(size, int) else (size[0], size[1])

    @override
    def _transforms(self, config: dict[str, Any]) -> Sequence[Callable[[Any], Any]]:
        return list(image_transform_v2(PreprocessCfg(**config), is_train=False).transforms)


@final
class TimmPreprocessing(_LibraryTransform):
    """The evaluation transform of timm; its configuration is that of `timm.data.resolve_data_config`."""

    library = "timm"
    keys = frozenset({"input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode"})

    @property
    @override
    def image_size(self) -> tuple[int, int]:
        _, height, width = self.config["input_size"]
        return (height, width)

    @override
    def _transforms(self, config: dict[str, Any]) -> Sequence[Callable[[Any], Any]]:
        return list(create_transform(**config, is_training=False).transforms)


for _kind in (OpenClipPreprocessing, TimmPreprocessing):
    PREPROCESSINGS.add(_kind)


def _check_sizes(library: str, config: Mapping[str, Any]) -> None:
    """Refuse pictures of impossible size: pictures are resized to it before anybody sees how much memory it takes."""
    size = config["size"] if library == "open_clip" else config["input_size"]
    n_channels = int(library == "timm")
    sides = [size, size] if isinstance(size, int) else size[n_channels:] if isinstance(size, list | tuple) else []
    kept = config["crop_pct"] if library == "timm" else 1.0  # share of the resized side that is not cropped
    if type(kept) not in (int, float) or len(sides) != 2 or not all(type(side) is int for side in sides):
        raise InputError(f"preprocessing of {library}: {size!r} and crop_pct {kept!r} are no size of a picture")
    _check_side(library, sides, kept)


def _check_side(library: str, sides: Sequence[int], kept: float) -> None:
    if not kept > 0 or min(sides) < 1 or not max(sides) / kept <= MAX_SIDE:
        raise InputError(
            f"preprocessing of {library}: pictures of {list(sides)} pixels and crop_pct {kept} are impossible: a side "
            f"has 1 to {MAX_SIDE} pixels"
        )


def _tensor(picture: Image.Image, steps: Sequence[Callable[[Any], Any]]) -> Tensor:
    image: Any = picture
    for step in steps:
        image = step(image)
    assert isinstance(image, Tensor)
    return image


def _for_masks(step: Any) -> Any:
    step = copy.copy(step)
    if isinstance(step, _RESIZE):
        step.interpolation = InterpolationMode.NEAREST
    if isinstance(step, _PAD):
        step.fill = NO_LABEL
    return step
