"""Whether the engine on JAX trains a job, or why not. Loads JAX only for a job that it covers."""

from __future__ import annotations

import os
import sys

from grader import records as r
from grader.data import cache
from grader.train.covered import NotCovered, refuse_other_settings

_KEPT = 1 << 30  # bytes of compiled programs on disk; the programs used last stay
_FLAG = "--xla_gpu_deterministic_ops=true"
_RECIPE = {
    "optimizer", "loss", "scaling", "geometry", "frozen", "class_weights", "sample_weights", "pretrained",
}  # fmt: skip


def obstacle(job: r.TrainJob) -> str:
    """Return why this engine does not train a job; empty if it does."""
    try:
        for recipe in job.training:
            refuse_other_settings(recipe, _RECIPE)
    except NotCovered as reason:
        return f"JAX does not train {reason}"
    return _missing()


def _missing() -> str:
    """Return why JAX cannot be used in this process; empty if it can."""
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != "jax":
            return "Keras already runs on another backend in this process"
    # Read when JAX first looks for devices: other programs on the same GPU want memory too, and the same
    # job must give the same numbers.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if _FLAG not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()
    try:
        import jax  # noqa: F401
    except ImportError as error:
        return f"JAX cannot be loaded: {error}"
    return ""


def prepare() -> None:
    """Have Keras run on JAX in this process, with programs kept on disk."""
    import jax

    os.environ["KERAS_BACKEND"] = "jax"
    jax.config.update(
        "jax_default_matmul_precision", "highest"
    )  # no TF32: the results are those of a processor
    folder = cache.folder("programs")
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", _KEPT)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def sees_gpu() -> bool:
    """Whether JAX can use a GPU of this machine."""
    try:
        import jax

        return jax.default_backend() == "gpu"
    except (ImportError, RuntimeError):
        return False
