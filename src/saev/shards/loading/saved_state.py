"""Where training stands in its data, as a checkpoint says it."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Self, final

from saev.errors import InputError
from saev.shards.format.strict_json import JsonObject

_KEYS: Final = ("plan", "buffer_bytes", "passes", "batch")


@final
@dataclass(frozen=True)
class SavedState:
    """The place in the order, and what the order depends on."""

    plan: dict[str, object]
    """All that the order depends on; equal plans are equal orders."""
    buffer_bytes: int
    """Other sizes may give the same order."""
    passes: int
    """Whole passes before this one."""
    batch: int
    """Batches of this pass that were given out."""

    def to_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """From a checkpoint, which may be damaged or of another version.

        Raises:
            InputError: For anything that `to_dict` does not give.
        """
        try:
            found = JsonObject(value, "the checkpoint's place in the training data", _KEYS)
            n_bytes, passes, batch = found.integer("buffer_bytes", 1), found.integer("passes"), found.integer("batch")
            return cls(found.mapping("plan"), n_bytes, passes, batch)
        except InputError as error:
            raise InputError(f"{error}: it is damaged or of another version of saev: start a new run") from error

    def check_same_order(self, now: "SavedState") -> None:
        """Raise InputError, naming all differences, where the order would be another one."""
        changed = [
            f"{key} was {self.plan.get(key)} and is {now.plan.get(key)}"
            for key in self.plan | now.plan
            if self.plan.get(key) != now.plan.get(key)
        ]
        if changed and self.buffer_bytes != now.buffer_bytes:
            changed.append(f"buffer_gib was {self.buffer_bytes / 2**30:.6g} and is {now.buffer_bytes / 2**30:.6g}")
        if changed:
            raise InputError(f"the run cannot go on with other training data: {'; '.join(changed)}")
