"""One SAE in training: what the host knows of it without asking the device."""

import torch
from tests.training.small_options import OPTIONS

from saev.nn import TopK
from saev.training.state import Progress, SaeInTraining

COURSE = Progress(step=20, n_steps=100, tokens_per_step=32)


def member() -> SaeInTraining:
    torch.manual_seed(0)
    return SaeInTraining("one", TopK(8, d_sae=32, k=2), OPTIONS)


def test_what_is_known_is_what_the_buffers_say() -> None:
    one = member()
    silent = 10 * COURSE.tokens_per_step
    one.silent_tokens_s[:9] = silent
    one.gradients(torch.randn(32, 8), COURSE)
    assert one._n_dead == int(one._dead(COURSE).sum()) > 0
    assert len(one._dead_latents(COURSE)) == one._n_dead
    one.silent_tokens_s.zero_()
    one.gradients(torch.randn(32, 8), COURSE)
    assert one._n_dead == 0
    assert not one.has_failed
    one.gradients(torch.full((32, 8), float("nan")), COURSE)
    assert one.has_failed
    assert one.failed


def test_it_is_forgotten_when_a_checkpoint_is_loaded() -> None:
    one, failed = member(), member()
    one.gradients(torch.randn(32, 8), COURSE)
    assert (one.has_failed, one._n_dead) == (False, 0)
    failed.failed.fill_(True)
    failed.silent_tokens_s.fill_(10_000)
    torch.nn.ModuleList([one]).load_state_dict(torch.nn.ModuleList([failed]).state_dict())
    assert one.has_failed
    assert len(one._dead_latents(COURSE)) == 32
