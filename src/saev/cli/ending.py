"""How a command ends: signals, exit status, the last line, and the other processes of the same command.

The first SIGINT or SIGTERM raises `Stopped`, which unwinds the stack; a second one ends the process at once. A signal,
an error that the user can mend and memory that ran out are one line; everything else is a bug and keeps its traceback.

torch is looked for only where it is imported already: `saev --help` answers without it.
"""

import atexit
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import walk_tb
from types import FrameType, ModuleType
from typing import Any, Final, NoReturn, final

from saev.errors import InputError, one_line, printable, shortened, tell
from saev.stopping import SIGNALS, end_at_once, end_companions, handle

# Numbers of a process among several: of torchrun, of Lightning, of Slurm.
_RANKS: Final = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
_WORDS: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
# What allocators of torch say, and libraries that run on a GPU.
_OF_MEMORY: Final = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
_LESS_MEMORY: Final = {
    "fit": "give a smaller --data.batch_size, fewer latents (--model.sae.d_sae), fewer SAEs of a sweep at a time, "
    "--trainer.precision bf16-mixed, or divide the latents among processes "
    "(--model.shard_latents true --trainer.devices N)",
    "predict": "give a smaller --data.batch_size, fewer --data.num_workers or a smaller --model.image_size",
    "validate": "give a smaller --data.batch_size",
    "test": "give a smaller --data.batch_size, and the galleries less (--visualizer.top_k, --visualizer.n_latents)",
    "render": "give the galleries less: --visualizer.top_k, --visualizer.n_latents, --visualizer.n_images",
    "downstream": "give a smaller --batch_size or fewer --n_images, or another --device",
    "view": "give fewer --n_images, or another --device",
}
_FEWER_WORKERS: Final = {"predict": "fewer --data.num_workers", "downstream": "fewer --num_workers"}


@final
class Stopped(SystemExit):
    """A signal has come. Not a KeyboardInterrupt: Lightning would ignore further signals while it cleans up."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.word = _WORDS[signal.Signals(signum)]
        self.advice: str | None = None
        """How to go on, where there is anything to say."""

    def __str__(self) -> str:
        return self.word if self.advice is None else f"{self.word}: {self.advice}"


def exit_after(work: Callable[[], int]) -> NoReturn:
    """Do what this process is for, and exit with the status that it returns.

    A process that still belongs to a group then failed while it exchanged tensors with others. torch's threads wait for
    those, and may abort an interpreter that shuts down under them.
    """
    # Where nobody handles signals, before the work and in exit functions, an exception would be a traceback.
    handle({signum: signal.SIG_DFL for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN})
    status: Any
    try:
        status = work()
    except SystemExit as end:
        status = end.code
    if _group() is not None:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)
    sys.exit(status)


def ended(command: str, work: Callable[[], int]) -> int:
    """Do the work of a command; the exit status. Whatever ends it, none of its processes stays behind.

    Args:
        command: The name of the command, for the last line.

    Raises:
        SystemExit: For help, and where another process says why.
        Exception: A bug.
    """
    with stopping_on_signals():
        try:
            status = work()
            if (distributed := _group()) is not None:
                # torch's threads that outlive the interpreter may abort it.
                distributed.destroy_process_group()
        except BaseException as error:
            handle(dict.fromkeys(SIGNALS, end_at_once))
            end_companions()
            verdict = _verdict(command, error)
            if verdict is None:
                raise
            status, said = verdict
            if not isinstance(error, Stopped) or _is_first():  # a signal comes to all of them
                say_last(f"saev {command}: {said}")
    return status


def _verdict(command: str, error: BaseException) -> tuple[int, str] | None:
    """The exit status and what is said, or None of what keeps its traceback, or says nothing."""
    if isinstance(error, Stopped):
        return int(error.code or 0), str(error)
    if isinstance(error, InputError):
        return 1, f"error: {shortened(printable(' '.join(str(error).split())))}"
    advice = _ended_worker(command, error) or _out_of_memory(command, error)
    return None if advice is None else (1, f"error: {advice}")


def _ended_worker(command: str, error: BaseException) -> str | None:
    """What a user can do about a process that decodes pictures and was killed, if the error is that."""
    if isinstance(error, RuntimeError) and "DataLoader worker" in str(error):
        # Of an error inside the worker the last line says what it was.
        error = RuntimeError([line.strip() for line in str(error).splitlines() if line.strip()][-1])
    elif not _fetching_a_tensor(error):
        return None
    fewer = _FEWER_WORKERS.get(command, "fewer workers")
    return f"a data worker ended unexpectedly ({one_line(error)}): is memory short? Try {fewer}"


def _fetching_a_tensor(error: BaseException) -> bool:
    """Whether a tensor that a worker had announced could not be fetched from it: the worker may be gone by then."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return isinstance(error, OSError | EOFError) and any(
        frame.f_globals.get("__name__") == "torch.multiprocessing.reductions" for frame in frames
    )


def _out_of_memory(command: str, error: BaseException) -> str | None:
    """What a user can do about an error, if it is one of memory."""
    is_ours = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not is_ours and not (isinstance(error, RuntimeError) and any(said in str(error) for said in _OF_MEMORY)):
        return None
    advice = _LESS_MEMORY.get(command, "free some, or work on another machine")
    return f"memory ran out ({one_line(error)}): {advice}"


def end_now(command: str, error: InputError) -> NoReturn:
    """End from any thread, whatever the first one waits for, and kill the processes that this one has started."""
    say_last(f"saev {command}: error: {error}")
    end_companions()
    os._exit(1)


def say_last(text: str) -> None:
    """Tell a line on a line of its own: progress bars are closed, and another process may have left one open."""
    tqdm = sys.modules.get("tqdm.std")
    if tqdm is not None:
        for bar in list(getattr(tqdm.tqdm, "_instances", ())):
            bar.close()
    if _is_first():
        tell(text)
    else:  # Of the first one's bar this process knows nothing: in one piece, so that it is not drawn in between.
        print(f"\n{printable(text)}", file=sys.stderr, flush=True)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` at the first signal within the block, and end at the second."""
    has_come = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal has_come
        if has_come:  # Kept here: Lightning puts this handler back while the first one unwinds the stack.
            end_at_once(signum, frame)
        has_come = True
        # Data workers that the same signal ended must not break into the unwinding: torch raises an error from the
        # handler of SIGCHLD.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise Stopped(signum)

    earlier = {signum: signal.getsignal(signum) for signum in SIGNALS}
    handle(dict.fromkeys(SIGNALS, stop))
    try:
        yield
    finally:
        handle(earlier)


def _is_first() -> bool:
    """Whether this is the first, or the only, process of the command."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


def _group() -> ModuleType | None:
    """torch.distributed, where this process belongs to a group."""
    distributed = sys.modules.get("torch.distributed")
    return distributed if distributed and distributed.is_available() and distributed.is_initialized() else None
