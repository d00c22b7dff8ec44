"""How SAEs of tests are trained."""

from saev.training.options import TrainingOptions

OPTIONS = TrainingOptions(
    lr=1e-3,
    warmup=0.1,
    decay=0.2,
    schedule="linear",
    normalize="scalar",
    init="data",
    sparsity_warmup=0.0,
    k_start=1.0,
    k_anneal=0.0,
    auxk_coeff=1 / 32,
    k_aux=16,
    dead_after=None,
    restarts=0,
    seed=0,
)
