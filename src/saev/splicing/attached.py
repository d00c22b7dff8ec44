"""An SAE inside a running model: codes of its tokens, and what becomes of the output when they change.

Shape suffixes: b = images, c = images of a chunk, t = tokens of an image, p = tokens that the SAE takes, d = d_in,
s = d_sae.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from saev.errors import InputError
from saev.nn import SparseAutoencoder
from saev.nn.functional import images_at_once
from saev.splicing.edits import Edit, edited_codes

Change = Callable[[Tensor], Tensor]
"""From the output (b, t, d) of a layer to what takes its place."""
Variants = Callable[[Tensor], Mapping[str, Tensor]]
"""From the output (b, t, d) of a layer to several, by name, each of which takes its place."""


class _ReachedError(Exception):
    """Ends a pass after the layer."""


@final
class Attached:
    """An SAE at one layer of a model. Made by `attach`; works within `with`, which sets a hook and removes it.

    Passes are without gradients; only within `editing` they are the caller's. The SAE works on its own device and in
    its own dtype, whatever the model uses, under autocast, too.

    Args:
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
        if self._handle is not None:
            raise InputError("this SAE is attached already: attach it again for a second place")
        self._handle = self._place.register_forward_hook(self._hook)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._handle is not None:
            self._handle.remove()
        self._handle = None

    def activations(self, images: Tensor) -> Tensor:
        """The tokens (b, p, d) that the SAE takes, on its device and in its dtype. The pass stops after the layer.

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
        """Codes (b, p, s) of images (b, 3, h, w), on the device and in the dtype of the SAE.

        Raises:
            InputError: If the layer gives something else than (b, t, d).
        """
        return self.encode(self.activations(images))

    def edited(self, images: Tensor, edits: Edit | Sequence[Edit], *, keep_error: bool = True) -> Any:
        """What the model gives for images (b, 3, h, w) when codes change: for a backbone embeddings (b, e).

        Args:
            images: Prepared for the model.
            edits: A change of the codes, or several, one after the other.
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
    def editing(self, edits: Edit | Sequence[Edit], *, keep_error: bool = True) -> Iterator[None]:
        """Edit codes in every pass of the model in this context, for models that take more than images.

        Raises:
            InputError: Within it, as in `edited`.
        """
        all_edits = [edits] if isinstance(edits, Edit) else list(edits)

        def change(x_btd: Tensor) -> Tensor:
            parts, start = [], 0
            with self._in_own_dtype():
                for x_cpd in self.chunks(self.taken(x_btd)):
                    own = [edit.of_images(start, len(x_cpd), len(x_btd)) for edit in all_edits]
                    parts.append(self._edited(x_cpd, own, keep_error))
                    start += len(x_cpd)
            return self.with_tokens(x_btd, torch.cat(parts))

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
        """The tokens (b, p, d) that the SAE takes of all (b, t, d), on the device and in the dtype of the SAE."""
        return x_btd[:, self._own].to(self.sae.W_dec)

    def with_tokens(self, x_btd: Tensor, new_bpd: Tensor) -> Tensor:
        """All tokens (b, t, d) with others in place of those that the SAE takes."""
        changed = x_btd.clone()
        changed[:, self._own] = new_bpd.to(x_btd.device, x_btd.dtype)
        return changed

    @torch.no_grad()
    def encode(self, x_bpd: Tensor) -> Tensor:
        """Codes (b, p, s) of tokens (b, p, d), some images at a time."""
        with self._in_own_dtype():
            return torch.cat([self.sae.encode(x_cpd) for x_cpd in self.chunks(x_bpd)])

    def chunks(self, x_bpd: Tensor) -> Sequence[Tensor]:
        """Tokens (b, p, d) in parts (c, p, d) whose codes are of bounded size."""
        return torch.split(x_bpd, images_at_once(self.sae.d_sae, x_bpd.shape[1]))

    def _edited(self, x_cpd: Tensor, edits: Sequence[Edit], keep_error: bool) -> Tensor:
        f_cps = self.sae.encode(x_cpd)
        new_cpd = self.sae.decode(edited_codes(f_cps, edits))
        return x_cpd + (new_cpd - self.sae.decode(f_cps)) if keep_error else new_cpd

    def _in_own_dtype(self) -> torch.autocast:
        return torch.autocast(self.sae.W_dec.device.type, enabled=False)

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
        x_btd = output[0] if isinstance(output, tuple) and output else output
        shape = tuple(x_btd.shape) if isinstance(x_btd, Tensor) else type(x_btd).__name__
        if not isinstance(x_btd, Tensor) or x_btd.ndim != 3 or x_btd.shape[-1] != self.sae.d_in:
            raise InputError(f"{self._name} gives {shape}, the SAE takes (images, tokens, {self.sae.d_in})")
        if self.positions is not None and not set(self.positions) <= set(range(x_btd.shape[1])):
            raise InputError(f"{self._name} gives {x_btd.shape[1]} tokens, the SAE takes {self.positions}")
        changed = self._change(x_btd)
        if not isinstance(output, tuple):
            return changed
        named = getattr(output, "_fields", None)
        return output._replace(**{named[0]: changed}) if named else (changed, *output[1:])  # type: ignore[attr-defined]
