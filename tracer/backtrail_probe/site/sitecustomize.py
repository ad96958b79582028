"""Takes a Python that the recorded program started into the record, before its own code begins.

Found by PYTHONPATH (see `children.py`), and run by whatever Python that is: so it is plain, and does nothing
where the probe cannot run. A `sitecustomize` of the person's own comes after it, as if this were not there.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _join():
    path = os.environ.get("BACKTRAIL_CHILD_OF")
    command = " ".join(getattr(sys, "orig_argv", ()))
    if not path or sys.version_info < (3, 9) or "multiprocessing.resource_tracker" in command:
        return
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    loader = SourceFileLoader("backtrail_launch", os.path.join(os.path.dirname(_HERE), "launch.py"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    module.join(path)


def _give_way():
    """Loads the `sitecustomize` that would have been found."""
    ours = sys.modules.pop("sitecustomize", None)
    sys.path[:] = [entry for entry in sys.path if entry != _HERE]
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", "") != "sitecustomize":
            raise
    if ours is not None:  # the import that is under way wants to find a module under the name
        sys.modules.setdefault("sitecustomize", ours)


try:
    _join()
except Exception:  # what keeps us from recording is no reason to keep the program from running
    pass
finally:
    _give_way()
