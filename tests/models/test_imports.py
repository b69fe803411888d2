"""What training imports, in a process of its own."""

import os
import subprocess
import sys

from conftest import REPOSITORY

WITHOUT_COMPILER = """
import sys
from conftest import paired_split, unpaired_split
from mosaicbench.methods.dmmvae import EncoderAdversarialDMMVAE
from mosaicbench.methods.fusion import PoEVAE

EncoderAdversarialDMMVAE(max_epochs=1).fit(unpaired_split(60), seed=0)
PoEVAE(max_epochs=1).fit(paired_split(60), seed=0)
print(sorted({"torch._dynamo", "torch._inductor", "sympy"} & sys.modules.keys()))
"""


def test_no_fit_imports_the_compiler_that_none_uses():
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / folder) for folder in ("src", "tests"))
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
