"""The model host: an OpenAI-compatible server over one quantised model."""

import logging
import os

# A decode step is some two hundred short parallel regions. By default OpenMP's threads spin while they
# wait for each other; on a machine that also runs the user's tests, a spinning thread takes the core
# that its neighbour needs, and a step becomes several times slower (compare `python -m bench.model_host
# --contended` with OMP_WAIT_POLICY=ACTIVE). Waiting asleep costs a fifth on an idle machine. It must be
# set before torch is loaded, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# On import bitsandbytes looks for a kernel on a hub, and says loudly when it finds none. It is not needed:
# `linear.py` takes the one that comes with bitsandbytes.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
