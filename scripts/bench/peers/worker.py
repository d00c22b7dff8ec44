"""Trains with one library in this process; run by the library's interpreter with `-m peers.worker`.

Arguments: the name of the library, and a job as JSON. Answers are lines of JSON on standard output. With `mode` "time"
the worker warms up, answers, and then waits: each line with a number of steps is answered by their seconds, so that
workers which are alive at the same time can take turns. With "quality" it trains once and answers with metrics.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae.
"""

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

from peers.trainer import Options, Trainer

DEAD_OVER = 131_072  # Training tokens over which dead latents are counted.


def batches(n_tokens: int, batch_size: int, n_steps: int, seed: int) -> Iterator[Tensor]:
    """Indices of batches: each pass over the tokens is a permutation that depends on the seed alone."""
    rng = np.random.default_rng(seed)
    left = np.empty(0, dtype=np.int64)
    for _ in range(n_steps):
        if len(left) < batch_size:
            left = np.concatenate([left, rng.permutation(n_tokens)])
        yield torch.from_numpy(left[:batch_size])
        left = left[batch_size:]


def load(path: str) -> Tensor:
    """A .npy file of float32."""
    return torch.from_numpy(np.load(path))


def take_turns(trainer: Trainer, x_nd: Tensor, options: Options, warmup: int, say: Callable[..., None]) -> None:
    """Run as many steps as each line of standard input says."""
    parts = torch.split(x_nd, options.batch_size)
    done = 0

    def run(n_steps: int) -> float:
        nonlocal done
        start = time.perf_counter()
        for _ in range(n_steps):
            trainer.step(parts[done % len(parts)])
            done += 1
        if x_nd.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    run(warmup)
    say(ready=True)
    for line in sys.stdin:
        seconds = run(int(line))
        peak = torch.cuda.max_memory_allocated() if x_nd.is_cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        say(seconds=seconds, peak_mb=peak / (2**20 if x_nd.is_cuda else 2**10))


@torch.no_grad()
def evaluate(trainer: Trainer, x_nd: Tensor, reconstruct: bool = True) -> tuple[float, float, Tensor]:
    """FVU, L0, and which latents fired (s,)."""
    error, l0, fired = 0.0, 0, torch.zeros(len(trainer.directions()), dtype=torch.bool)
    for x_bd in torch.split(x_nd, 4096):
        f_bs = trainer.encode(x_bd)
        l0 += int((f_bs > 0).sum())
        fired |= (f_bs > 0).any(0)
        if reconstruct:
            error += float((trainer.decode(f_bs) - x_bd).double().square().sum())
    x = x_nd.double()
    return error / float((x - x.mean(0)).square().sum()), l0 / len(x), fired


def best_cosines(found_sd: Tensor, true_td: Tensor) -> float:
    """Mean over true directions of the largest cosine with a decoder row."""
    unit_sd = torch.nn.functional.normalize(found_sd, dim=-1)
    return float((unit_sd @ torch.nn.functional.normalize(true_td, dim=-1).T).amax(0).mean())


def quality(trainer: Trainer, x_nd: Tensor, options: Options, job: dict[str, Any]) -> dict[str, float]:
    """Train once, then measure on tokens that were held out."""
    start = time.perf_counter()
    for index_b in batches(len(x_nd), options.batch_size, options.n_steps, options.seed):
        trainer.step(x_nd[index_b])
    seconds = time.perf_counter() - start
    trainer.finish()
    fvu, l0, fired = evaluate(trainer, load(job["test"]))
    _, _, fired_train = evaluate(trainer, x_nd[:DEAD_OVER], reconstruct=False)
    found = {"fvu": fvu, "l0": l0, "dead": 1 - float(fired.float().mean())}
    found |= {"dead_train": 1 - float(fired_train.float().mean()), "seconds": seconds}
    if job["directions"]:
        found["cosine"] = best_cosines(trainer.directions().detach(), load(job["directions"]))
    return found


def answers() -> TextIO:
    """The real standard output; whatever libraries print goes to standard error from now on."""
    real = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return real


def main() -> None:
    name, text = sys.argv[1:]
    job = json.loads(text)
    out = answers()

    def say(**found: Any) -> None:
        print(json.dumps(found), file=out)

    options = Options(**job["options"])
    torch.set_num_threads(job["threads"])
    x_nd = load(job["train"]).to(options.device)
    torch.manual_seed(options.seed)
    trainer: Trainer = importlib.import_module(f"peers.{name}").make(options, x_nd)
    if job["mode"] == "time":
        take_turns(trainer, x_nd, options, job["warmup"], say)
    else:
        say(**quality(trainer, x_nd, options, job))


if __name__ == "__main__":
    main()
