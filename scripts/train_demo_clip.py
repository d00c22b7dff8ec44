"""Train the CLIP of the demo on generated scenes and their captions, on CPUs, and write it as open_clip's files.

    python scripts/train_demo_clip.py --out DIR --run RUN

DIR gets `open_clip_config.json`, `open_clip_model.safetensors` (float16) and `bpe.txt.gz`; RUN a log, `log.txt`, and a
checkpoint, from which a run that was stopped goes on exactly where it was. First the vision tower alone learns to tell
the factors of the scenes from each patch; then both towers learn from captions too, of whole scenes and of enlarged
parts. docs/measurements.md says how good it became.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from demo_clip.batches import Batch, Batches
from demo_clip.figures import figures
from demo_clip.files import export, resume, save
from demo_clip.towers import model_config
from demo_clip.training import Recipe, Training
from demo_clip.vocabulary import BPE_FILE, CONTEXT, tokenizer, write_bpe
from saev.progress import progress_bar


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--out", type=Path, required=True, help="folder of the trained CLIP")
    found.add_argument("--run", type=Path, required=True, help="folder of the log and the checkpoint")
    found.add_argument("--alone", type=int, default=96_000, help="pictures of the first phase (%(default)s)")
    found.add_argument("--together", type=int, default=320_000, help="pictures with captions (%(default)s)")
    found.add_argument("--batch", type=int, default=128, help="pictures of a step, an even number (%(default)s)")
    found.add_argument("--lr", type=float, default=1.5e-3, help="highest learning rate (%(default)s)")
    found.add_argument("--seed", type=int, default=0, help="of the first weights (%(default)s)")
    found.add_argument("--threads", type=int, default=2, help="of torch (%(default)s)")
    found.add_argument("--workers", type=int, default=1, help="processes that draw scenes (%(default)s)")
    found.add_argument("--log_steps", type=int, default=100, help="between two lines of the log (%(default)s)")
    found.add_argument("--save_seconds", type=float, default=180, help="between two checkpoints (%(default)s)")
    return found


def batches(training: Training, bpe: Path, workers: int) -> Iterator[Batch]:
    """What remains of both phases."""
    alone, steps = training.recipe.alone, training.recipe.steps
    for captions, start, end in ((False, training.step, alone), (True, max(training.step, alone), steps)):
        if start < end:
            data = Batches(training.recipe.batch, captions, bpe)
            yield from DataLoader(data, batch_size=None, sampler=range(start, end), num_workers=workers)


def line(training: Training, numbers: dict[str, float]) -> str:
    """Of the log."""
    pictures = training.step * training.recipe.batch
    told = " ".join(f"{name.replace(' ', '_')}={value:.3f}" for name, value in numbers.items())
    return f"step={training.step} pictures={pictures} {told}"


def train(training: Training, args: argparse.Namespace, bpe: Path, log: Path) -> None:
    """Go on until the end, with a checkpoint now and then."""
    checkpoint, first, start = args.run / "checkpoint.pt", training.step, time.monotonic()
    saved = start
    bar = progress_bar(total=training.recipe.steps, initial=first, desc="training", unit="step")
    for batch in batches(training, bpe, args.workers):
        numbers = training.update(batch)
        bar.update()
        now = time.monotonic()
        if training.step % args.log_steps == 0:
            speed = (training.step - first) * training.recipe.batch / (now - start)
            note(log, line(training, {"per_second": speed, **numbers}))
        if now - saved > args.save_seconds:
            save(training, checkpoint)
            export(training, args.out)
            note(log, f"held out: {line(training, figures(training.clip, bpe))}")
            saved = time.monotonic()
    bar.close()
    save(training, checkpoint)
    export(training, args.out)


def note(log: Path, text: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def main(argv: Sequence[str] | None = None) -> None:
    args = parser().parse_args(argv)
    if args.batch % 2:
        parser().error(f"--batch {args.batch} must be even: pictures come in pairs that differ in one value")
    torch.set_num_threads(args.threads)
    args.run.mkdir(parents=True, exist_ok=True)
    bpe, log = args.run / BPE_FILE, args.run / "log.txt"
    write_bpe(bpe)
    recipe = Recipe(args.alone // args.batch, args.together // args.batch, args.batch, args.lr, args.seed)
    training = Training(recipe, model_config(tokenizer(bpe).vocab_size, CONTEXT))
    resume(training, args.run / "checkpoint.pt")
    train(training, args, bpe, log)
    found = f"held out: {line(training, figures(training.clip, bpe))}"
    note(log, found)
    print(found)


if __name__ == "__main__":
    main()
