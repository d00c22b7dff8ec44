"""Tokens per second of a complete training step, beside other SAE libraries.

    python scripts/bench/train_step.py --peers DIR
    python scripts/bench/train_step.py --peers DIR --only topk,batchtopk --rounds 9
    python scripts/bench/train_step.py --peers DIR --device cuda --libraries sparsify,product --only topk,batchtopk \
        --encoders bfloat16 --d_in 1024 --d_sae 32768 --batch_size 16384 --steps 20

DIR has a virtual environment for each library, see `peers/__init__.py`; what each library's step includes is said in
its file there. All processes stay alive and take turns, so that one computes at a time: in each round we run beside
each library, in alternating order. A ratio is the median over rounds of their seconds over ours. `sweep` is four TopK
SAEs in one step: its ratio is that of its seconds to those of one TopK SAE. `product` is the encoder's matrix product
alone, in the dtype of the encoder: its ratio is the share of its limit that a step reaches.

Tokens are sparse sums of known directions, so that latents fire as on real activations. AuxK begins where the library
says; for all of them that is later than these few steps, so that it costs nothing but the look for dead latents. With
`--dead_after` and `--peers_dead_after` it is part of every step.
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from peers.trainer import Options
from side_by_side import LIBRARIES, MODES, Job, Worker, add_common, names
from synthetic import SparseDictionary

ARCHITECTURES = ["topk", "batchtopk", "matryoshka", "relu", "sweep"]
N_BATCHES = 4
L1_COEFF = {"ours": 1.0, "sae_lens": 5.0, "dictionary_learning": 0.1, "overcomplete": 0.1, "original_saev": 4e-4}


def competitors(architecture: str, options: argparse.Namespace) -> list[tuple[str, Options]]:
    """Who runs what: ours first, and for a sweep the single SAE before it."""
    base = Options(architecture, options.d_in, options.d_sae, options.k, options.n_steps, options.batch_size)
    kinds = [("ours", "topk"), ("ours", "sweep")]
    if architecture != "sweep":
        kinds = [(name, architecture) for name in ("ours", *options.libraries)]
    return [
        (
            name,
            replace(
                base,
                architecture=kind,
                encoder=encoder,
                coeff=L1_COEFF.get(name, 1.0),
                clip=1.0,
                device=options.device,
                dead_after=options.dead_after if name == "ours" else options.peers_dead_after,
            ),
        )
        for (name, kind), encoder in product(kinds, options.encoders)
    ]


def start(architecture: str, options: argparse.Namespace, data: Path, stack: ExitStack) -> list[Worker]:
    """Workers of all who can take part; says who cannot."""
    workers = []
    for name, made in competitors(architecture, options):
        try:
            job = Job("time", str(data), options.threads, made, warmup=options.warmup)
            worker = Worker(name, options.peers, job, options.log)
        except (LookupError, RuntimeError) as reason:
            print(f"{architecture:10} | {name + MODES[made.encoder]} left out: {reason}", flush=True)
            continue
        stack.callback(worker.close)
        workers.append(worker)
    return workers


def turns(architecture: str, workers: list[Worker]) -> list[list[Worker]]:
    """Who runs beside whom: the last one of each list is compared with those before."""
    if architecture == "sweep":
        kinds = [[worker for worker in workers if worker.options.encoder == mode] for mode in MODES]
        return [kind for kind in kinds if len(kind) == 2]
    ours = [worker for worker in workers if worker.is_ours]
    return [[*ours, worker] for worker in workers if not worker.is_ours] or [ours]


def compare(architecture: str, options: argparse.Namespace, data: Path) -> None:
    """Time all competitors of one architecture and print what came out."""
    seconds: dict[str, list[float]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, float] = {}
    with ExitStack() as stack:
        plan = turns(architecture, start(architecture, options, data, stack))
        for number, turn in product(range(options.rounds), plan):
            order = turn if number % 2 == 0 else turn[::-1]
            answers = {worker.name: worker.ask(options.steps) for worker in order}
            for name, answer in answers.items():
                seconds[name].append(answer["seconds"])
                memory[name] = answer["peak_mb"]
            for worker in turn[:-1]:
                ratio = answers[turn[-1].name]["seconds"] / answers[worker.name]["seconds"]
                ratios[f"{turn[-1].name} / {worker.name}"].append(ratio)
    for name, found in seconds.items():
        rate = options.batch_size * options.steps / statistics.median(found)
        print(f"{architecture:10} | {name:32} | {rate:7.0f} tokens/s | {memory[name]:6.0f} MB at the peak")
    for pair, found in ratios.items():
        spread = f"{min(found):.2f} to {max(found):.2f}"
        print(f"{architecture:10} | {pair} = {statistics.median(found):.2f} ({spread})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common(parser)
    parser.add_argument("--only", type=names, default=ARCHITECTURES, help="architectures")
    parser.add_argument("--libraries", type=names, default=list(LIBRARIES))
    parser.add_argument("--encoders", type=names, default=list(MODES), help="float32, bfloat16 or float32,bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps of a turn")
    parser.add_argument("--warmup", type=int, default=6, help="steps before the first round")
    parser.add_argument("--n_steps", type=int, default=10_000, help="length of the run that schedules are made for")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--d_in", type=int, default=768)
    parser.add_argument("--d_sae", type=int, default=12_288)
    parser.add_argument("--batch_size", type=int, default=4096)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--dead_after", type=int, default=0, help="tokens, for us; 0: our own choice")
    parser.add_argument("--peers_dead_after", type=int, default=0, help="tokens, for the others; 0: their own choice")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "tokens.npy"
        source = SparseDictionary(options.d_sae // 2, options.d_in, options.k, noise=0.05, exponent=0.7, seed=0)
        np.save(data, source.tokens(N_BATCHES * options.batch_size, stream=0))
        for architecture in options.only:
            compare(architecture, options, data)


if __name__ == "__main__":
    main()
