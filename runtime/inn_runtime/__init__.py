"""INN-Lite's device runtime: one `.inn` file becomes a MindSpore Lite model of any width.

    import inn_runtime as inn

    bundle = inn.open("model.inn")
    model = bundle.resample("small")
    with model.session(threads=2) as session:
        scores = session.run(images)

Importing this loads NumPy, safetensors and flatbuffers; MindSpore Lite is loaded by the first session.
"""

from .budget.budget import Budget
from .errors import BundleError, EngineError, InnError, UsageError
from .governor import Governor
from .model_cache import ModelCache
from .network import Bundle, Model
from .network import open_bundle as open
from .session import Session
from .version import __version__ as __version__

__all__ = [
    "Budget",
    "Bundle",
    "BundleError",
    "EngineError",
    "Governor",
    "InnError",
    "Model",
    "ModelCache",
    "Session",
    "UsageError",
    "open",
]
