"""An SAE inside a running model: codes of its tokens, and what becomes of the output when they change.

Shape suffixes: b = images, c = images of a chunk, t = tokens of an image, p = tokens that the SAE takes, d = d_in,
s = d_sae.
"""

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from saev.errors import InputError
from saev.nn import SparseAutoencoder
from saev.nn.functional import images_at_once
from saev.shards.format.layout import TokenLayout
from saev.splicing.edits import Edit, edited_codes
from saev.vit.backbone import Backbone

Change = Callable[[Tensor], Tensor]
"""From the output (b, t, d) of a layer to what takes its place."""
Variants = Callable[[Tensor], Mapping[str, Tensor]]
"""From the output (b, t, d) of a layer to several, by name, each of which takes its place."""


class _ReachedError(Exception):
    """Ends a pass after the layer."""


@final
class Attached:
    """An SAE at one layer of a model. Made by `attach`; works within `with`, which sets a hook and removes it.

    Passes are without gradients; only within `editing` they are the caller's. The SAE works in float32 on its own
    device, whatever the model uses.

    Args:
        sae: The SAE.
        place: The module whose output it takes.
        name: What messages call that.
        positions: Which of the tokens it takes; None for all.
        whole: A pass through the model.
        up_to: A pass that may stop after the layer.
    """

    def __init__(
        self,
        sae: SparseAutoencoder,
        place: nn.Module,
        name: str,
        positions: range | None,
        whole: Callable[[Tensor], Any],
        up_to: Callable[[Tensor], Any],
    ) -> None:
        self.sae, self.positions = sae, positions
        self._own = slice(None) if positions is None else slice(positions.start, positions.stop)
        self._place, self._name, self._whole, self._up_to = place, name, whole, up_to
        self._change: Change | None = None
        self._handle: RemovableHandle | None = None

    def __enter__(self) -> Self:
        self._handle = self._place.register_forward_hook(self._hook)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._handle is not None:
            self._handle.remove()
        self._handle = None

    def activations(self, images: Tensor) -> Tensor:
        """The tokens (b, p, d) that the SAE takes, float32, on the device of the SAE. The pass stops after the layer.

        Args:
            images: (b, 3, h, w), prepared for the model.

        Raises:
            InputError: If the layer gives something else than (b, t, d).
        """
        found: list[Tensor] = []

        def keep(x_btd: Tensor) -> Tensor:
            found.append(x_btd)
            raise _ReachedError

        with self._changing(keep), contextlib.suppress(_ReachedError), torch.no_grad():
            self._up_to(images)
        if not found:
            raise InputError(f"the model's pass did not come to {self._name}: name a layer that it runs through")
        return self.taken(found[0])

    def codes(self, images: Tensor) -> Tensor:
        """Codes (b, p, s) of images (b, 3, h, w), float32, on the device of the SAE.

        Raises:
            InputError: If the layer gives something else than (b, t, d).
        """
        return self.encode(self.activations(images))

    def edited(self, images: Tensor, edits: Sequence[Edit], *, keep_error: bool = True) -> Any:
        """What the model gives for images (b, 3, h, w) when codes change: for a backbone embeddings (b, e).

        Args:
            images: Prepared for the model.
            edits: Changes of the codes, one after the other.
            keep_error: Whether what the SAE does not explain stays, x + decode(f') - decode(f), or goes, decode(f').
                It stays exactly, so that no edit changes nothing.

        Raises:
            InputError: If an edit names a latent or token that is not there, or the layer gives something else than
                (b, t, d).
        """
        with self.editing(edits, keep_error=keep_error), torch.no_grad():
            return self._whole(images)

    def spliced(self, images: Tensor) -> Any:
        """What the model gives for images (b, 3, h, w) with the SAE's reconstructions in place of its activations.

        Raises:
            InputError: If the layer gives something else than (b, t, d).
        """
        return self.edited(images, (), keep_error=False)

    @contextlib.contextmanager
    def editing(self, edits: Sequence[Edit], *, keep_error: bool = True) -> Iterator[None]:
        """Edit codes in every pass of the model in this context, for models that take more than images.

        Raises:
            InputError: Within it, as in `edited`.
        """

        def change(x_btd: Tensor) -> Tensor:
            chunks = self.chunks(self.taken(x_btd))
            return self.with_tokens(x_btd, torch.cat([self._edited(x_cpd, edits, keep_error) for x_cpd in chunks]))

        with self._changing(change):
            yield

    def variants(self, images: Tensor, variants: Variants) -> dict[str, Tensor]:
        """What the model gives for images (b, 3, h, w) with each of several outputs of the layer, by name.

        The layers up to this one run once; the later ones take all variants as one batch.

        Raises:
            InputError: If the model gives no tensor, or the layer something else than (b, t, d).
        """
        names: list[str] = []

        def change(x_btd: Tensor) -> Tensor:
            changed = variants(x_btd)
            names.extend(changed)
            return torch.cat([x.to(x_btd.dtype) for x in changed.values()])

        with self._changing(change), torch.no_grad():
            found = self._whole(images)
        if not isinstance(found, Tensor):
            raise InputError(f"the model gives {type(found).__name__}, not a tensor: give attach(forward=...)")
        return dict(zip(names, torch.split(found, len(images)), strict=True))

    def taken(self, x_btd: Tensor) -> Tensor:
        """The tokens (b, p, d) that the SAE takes of all (b, t, d), float32, on the device of the SAE."""
        return x_btd[:, self._own].to(self.sae.mean_d.device, torch.float32)

    def with_tokens(self, x_btd: Tensor, new_bpd: Tensor) -> Tensor:
        """All tokens (b, t, d) with others in place of those that the SAE takes."""
        changed = x_btd.clone()
        changed[:, self._own] = new_bpd.to(x_btd.device, x_btd.dtype)
        return changed

    @torch.no_grad()
    def encode(self, x_bpd: Tensor) -> Tensor:
        """Codes (b, p, s) of tokens (b, p, d), some images at a time."""
        return torch.cat([self.sae.encode(x_cpd) for x_cpd in self.chunks(x_bpd)])

    def chunks(self, x_bpd: Tensor) -> Sequence[Tensor]:
        """Tokens (b, p, d) in parts (c, p, d) whose codes are of bounded size."""
        return torch.split(x_bpd, images_at_once(self.sae.d_sae, x_bpd.shape[1]))

    def _edited(self, x_cpd: Tensor, edits: Sequence[Edit], keep_error: bool) -> Tensor:
        f_cps = self.sae.encode(x_cpd)
        new_cpd = self.sae.decode(edited_codes(f_cps, edits))
        return x_cpd + (new_cpd - self.sae.decode(f_cps)) if keep_error else new_cpd

    @contextlib.contextmanager
    def _changing(self, change: Change) -> Iterator[None]:
        if self._handle is None:
            raise InputError("an attached SAE works within `with saev.attach(...) as inside:`")
        before, self._change = self._change, change
        try:
            yield
        finally:
            self._change = before

    def _hook(self, _place: nn.Module, _inputs: object, output: Any) -> Any:
        if self._change is None:
            return None
        # Blocks of some libraries give a tuple whose first entry is the stream.
        x_btd, others = (output[0], output[1:]) if isinstance(output, tuple) and output else (output, None)
        shape = tuple(x_btd.shape) if isinstance(x_btd, Tensor) else type(x_btd).__name__
        if not isinstance(x_btd, Tensor) or x_btd.ndim != 3 or x_btd.shape[-1] != self.sae.d_in:
            raise InputError(f"{self._name} gives {shape}, the SAE takes (images, tokens, {self.sae.d_in})")
        if self.positions is not None and not set(self.positions) <= set(range(x_btd.shape[1])):
            raise InputError(f"{self._name} gives {x_btd.shape[1]} tokens, the SAE takes {self.positions}")
        changed = self._change(x_btd)
        return changed if others is None else (changed, *others)


def attach(
    model: nn.Module,
    sae: SparseAutoencoder,
    layer: int | str,
    *,
    tokens: str | range | None = None,
    forward: Callable[[Tensor], Any] | None = None,
) -> Attached:
    """Put an SAE at a layer of a model, for codes, splicing and edits.

    Args:
        model: A backbone of saev, or any module with a submodule that gives (images, tokens, d), alone or as the first
            entry of a tuple.
        sae: The SAE, whose d_in is d.
        layer: Of a backbone the number of a block, negative ones from the end; of a module the name of the submodule,
            such as "encoder.layers.10".
        tokens: Which tokens the SAE takes: of a backbone "content" (patches, the default), "cls", "registers" or
            "all"; of a module a range of positions, by default all.
        forward: A pass through the model with images (b, 3, h, w), by default a backbone's `embed` or the module's own
            `forward`. For example ``lambda images: clip.get_image_features(pixel_values=images)``.

    Raises:
        InputError: If the model has no such layer, or one of another width, or no such tokens.

    >>> from saev.nn import TopK
    >>> model = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 4))
    >>> with attach(model, TopK(16, d_sae=32, k=2).eval(), "0") as inside:
    ...     f_bps = inside.codes(torch.randn(3, 5, 8))
    ...     output = inside.edited(torch.randn(3, 5, 8), [Edit(7, "add", 2.0, tokens=[0])])
    >>> f_bps.shape, output.shape
    (torch.Size([3, 5, 32]), torch.Size([3, 5, 4]))
    """
    if isinstance(model, Backbone):
        return _in_backbone(model, sae, layer, tokens, forward)
    modules = dict(model.named_modules())
    if not isinstance(layer, str) or layer not in modules:
        alike = difflib.get_close_matches(str(layer), modules) or [name for name in modules if name][:3]
        raise InputError(f"{type(model).__name__} has no layer {layer!r}, but {', '.join(alike)}: see named_modules()")
    if isinstance(tokens, str) and tokens != "all":
        raise InputError(f"tokens={tokens!r}: which those are is known of backbones only, give a range of positions")
    run = model if forward is None else forward
    return Attached(sae, modules[layer], f"layer {layer!r}", tokens if isinstance(tokens, range) else None, run, run)


def token_layout(backbone: Backbone) -> TokenLayout:
    """The tokens that a backbone makes of an image."""
    return TokenLayout(backbone.cls, backbone.n_registers, backbone.grid)


def _in_backbone(
    backbone: Backbone,
    sae: SparseAutoencoder,
    layer: int | str,
    tokens: str | range | None,
    forward: Callable[[Tensor], Any] | None,
) -> Attached:
    if isinstance(layer, str):
        raise InputError(
            f"layer {layer!r}: the layers of {backbone.ckpt} are numbers from 0 to {backbone.n_layers - 1}"
        )
    if sae.d_in != backbone.d_model:
        raise InputError(f"the SAE takes activations of width {sae.d_in}, {backbone.ckpt} has {backbone.d_model}")
    (number,) = backbone.resolve_layers([layer])
    kind: Any = tokens or "content"
    positions = tokens if isinstance(tokens, range) else token_layout(backbone).positions(kind)

    def prepared(images: Tensor) -> Tensor:
        weight = next(backbone.parameters())
        return images.to(weight.device, weight.dtype)

    whole = backbone.embed if forward is None else forward
    return Attached(
        sae,
        backbone.block(number),
        f"layer {number} of {backbone.ckpt}",
        positions,
        lambda images: whole(prepared(images)),
        lambda images: backbone(prepared(images), [number]),
    )
