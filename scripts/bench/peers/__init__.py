"""SAE libraries behind one interface, each run by an interpreter of its own.

The benchmarks take `--peers DIR`, a folder of virtual environments that are named like the modules here:

    python -m venv DIR/sparsify && DIR/sparsify/bin/pip install eai-sparsify
    python -m venv DIR/sae_lens && DIR/sae_lens/bin/pip install sae-lens
    python -m venv DIR/dictionary_learning && DIR/dictionary_learning/bin/pip install dictionary-learning
    python -m venv DIR/overcomplete && DIR/overcomplete/bin/pip install overcomplete 'matplotlib<3.9'
    python -m venv DIR/original_saev && DIR/original_saev/bin/pip install saev==0.1.0

Give each the same version of torch, or else versions of torch are compared. `ours` runs in the interpreter of the
benchmark. What is missing is left out, and said to be.
"""
