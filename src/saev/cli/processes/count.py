"""How many processes the options of a trainer mean, and whether those of several machines can find each other."""

import os
from dataclasses import dataclass
from typing import Final, final

import torch
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from saev.errors import InputError

PROCESSES_PER_CPU: Final = 2
"""More would wait for each other alone."""
N_STARTED: Final = "SAEV_N_STARTED"
"""Tells a process that this command has started how many there are."""
BY_HAND: Final = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
Devices = list[int] | int | str


def n_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def started_elsewhere() -> bool:
    """Whether torchrun, a cluster, or another process of this command has started this process as one of several."""
    clusters = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
    return "LOCAL_RANK" in os.environ or any(cluster.detect() for cluster in clusters)


def n_asked(accelerator: str, devices: Devices) -> int | None:
    """How many processes of this machine the options ask for; None where only Lightning can tell."""
    if isinstance(devices := _listed(devices), list):
        return len(devices)
    if devices in (-1, "-1", "auto"):
        return torch.cuda.device_count() if _on_gpus(accelerator) else None
    text = str(devices)
    return int(text) if text.isdecimal() else None


def check_devices(accelerator: str, devices: Devices) -> None:
    """Raise InputError, with both numbers, for more processes than this machine has devices for."""
    n, most = n_asked(accelerator, devices), _most(accelerator)
    if n is None or most is None or n <= most or started_elsewhere():
        return
    has = f"{most} GPU{'s' * (most != 1)}" if _on_gpus(accelerator) else f"{n_cpus()} CPUs for at most {most} processes"
    raise InputError(f"--trainer.devices {n}: this machine has {has}")


@final
@dataclass(frozen=True)
class Granted:
    """What is made of --trainer.devices."""

    devices: Devices
    why: str | None = None
    """Why these are fewer than were asked for."""


def granted(accelerator: str, devices: Devices, num_nodes: int, n_parts: int) -> Granted:
    """Fewer processes than asked for, where there is less to do or there are too few CPUs.

    Only processes that this one would start are left out; those that are there already have nothing to do.

    Args:
        num_nodes: The trainer's option. Several machines must not decide differently, so that all is left as it is.
        n_parts: Parts of the work that cannot be divided.

    Raises:
        InputError: If there are fewer GPUs.
    """
    n = n_asked(accelerator, devices)
    if n is None:
        return Granted(devices)
    if os.environ.get("LOCAL_RANK", "0") != "0" and N_STARTED in os.environ:
        return Granted(_first(devices, int(os.environ[N_STARTED])))
    if num_nodes > 1 or _on_gpus(accelerator):
        check_devices(accelerator, devices)
    if num_nodes > 1 or started_elsewhere():
        return Granted(devices)
    most, why = max(1, n_parts), f"{n_parts} shards are to be recorded"
    if _on_cpus(accelerator) and most > PROCESSES_PER_CPU * n_cpus():
        most, why = PROCESSES_PER_CPU * n_cpus(), f"{n_cpus()} CPUs can be used"
    return Granted(devices) if n <= most else Granted(_first(devices, most), why)


def _first(devices: Devices, n: int) -> Devices:
    devices = _listed(devices)
    return devices[:n] if isinstance(devices, list) else n


def _listed(devices: Devices) -> Devices:
    """Devices as Lightning reads them: "0,3" are the first and the fourth one."""
    if not isinstance(devices, str) or "," not in devices:
        return devices
    numbers = [number.strip() for number in devices.split(",") if number.strip()]
    return [int(number) for number in numbers] if all(map(str.isdecimal, numbers)) else devices


def check_machines(num_nodes: int) -> None:
    """Raise InputError for several machines that cannot find each other, with the ways to start them."""
    missing = [name for name in BY_HAND if name not in os.environ]
    if num_nodes > 1 and missing and not started_elsewhere():
        raise InputError(
            f"--trainer.num_nodes {num_nodes}: this machine does not know the others. Start the command on each of "
            f"them: by srun, by torchrun --nnodes {num_nodes} --rdzv_backend c10d --rdzv_endpoint HOST:PORT "
            f"--nproc_per_node N -m saev ..., or by hand with {', '.join(missing)} set (the first machine's address "
            "and a free port of it; 0, 1, ...)"
        )


def _most(accelerator: str) -> int | None:
    """Processes that this machine has devices for; None where only Lightning can tell."""
    if _on_gpus(accelerator):
        return torch.cuda.device_count()
    return PROCESSES_PER_CPU * n_cpus() if _on_cpus(accelerator) else None


def _on_gpus(accelerator: str) -> bool:
    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())


def _on_cpus(accelerator: str) -> bool:
    return accelerator == "cpu" or (accelerator == "auto" and not _has_accelerator())


def _has_accelerator() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()
