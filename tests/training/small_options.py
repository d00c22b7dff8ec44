"""How SAEs of tests are trained."""

from saev.training.options import TrainingOptions

OPTIONS = TrainingOptions(lr=1e-3, warmup=0.1, sparsity_warmup=0.0, k_anneal=0.0, k_aux=16, restarts=0)
