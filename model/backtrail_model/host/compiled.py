"""Our own kernels for processors with AVX2 (`native/`), compiled once by the system's C compiler.

bitsandbytes multiplies from packed NF4 on AVX512-BF16 only, which few machines have. Elsewhere every
weight would have to be expanded, to eight times the bytes. The compiled library is kept in the cache, under
a name that tells its source and its options; where it cannot be made, `library` says why.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

from backtrail_model import weights

SOURCES = tuple(Path(__file__).parent / "native" / name for name in ("attention.c", "nf4.c"))
OPTIONS = ("-O3", "-mavx2", "-mfma", "-fopenmp", "-fPIC", "-shared")
COMPILERS = ("cc", "gcc", "clang")
COMPILE_S = 60.0
_COUNT, _POINTER = ctypes.c_int64, ctypes.c_void_p
_ARGUMENTS = {
    # tokens, columns, x, bytes, scales, excess
    "nf4_quantise": [_COUNT] * 2 + [_POINTER] * 4,
    # tokens, columns, bytes, scales, excess, parts, rows, weights, their scales, bias, y, stride
    "nf4_multiply": [_COUNT] * 2 + [_POINTER] * 3 + [_COUNT] + [_POINTER] * 5 + [_COUNT],
    # rows, tokens, heads, heads of keys, size, length, queries, strides, keys, values, strides, pads, out
    "attend": [_COUNT] * 6 + [_POINTER] * 7,
}


@cache
def library() -> ctypes.CDLL | str:
    """The compiled library with its functions declared; a string says why there is none."""
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return "this processor has no AVX2"
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CC", ""), *COMPILERS))), None)
    try:
        return _declared(_kept(compiler))
    except (OSError, AttributeError, subprocess.SubprocessError) as error:
        return f"our kernels could not be compiled: {_words(error)}"


def _kept(compiler: str | None) -> Path:
    """The library's file, made if it is not there."""
    made_of = b"".join(source.read_bytes() for source in SOURCES) + " ".join(OPTIONS).encode()
    mark = hashlib.sha256(made_of).hexdigest()[:16]
    file = weights.cache_folder().parent / "kernels" / f"avx2-{mark}.so"
    if not file.is_file():
        if compiler is None:
            raise OSError("there is no C compiler (cc, gcc or clang)")
        file.parent.mkdir(parents=True, exist_ok=True)
        _compile(compiler, file)
    return file


def _compile(compiler: str, file: Path) -> None:
    """Whole or not at all: processes that start at once each make their own and the last one stays."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / file.name
        command = [compiler, *OPTIONS, "-o", str(made), *map(str, SOURCES), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=COMPILE_S)
        made.replace(file)


def _declared(file: Path) -> ctypes.CDLL:
    # torch is imported above: the library finds torch's OpenMP, and its threads are the same.
    found = ctypes.CDLL(str(file))
    for name, arguments in _ARGUMENTS.items():
        getattr(found, name).argtypes = arguments
        getattr(found, name).restype = None
    return found


def _words(error: Exception) -> str:
    """The first line of what the compiler said, or of the error."""
    said = getattr(error, "stderr", None) or str(error)
    return next((line for line in str(said).splitlines() if line.strip()), type(error).__name__)
