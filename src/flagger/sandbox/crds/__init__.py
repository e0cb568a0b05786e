"""Small CRDs of our own for the kinds that a sandbox routes by, one YAML file each.

They have the real names, fields, enums and defaults of what is commonly used, so that a manifest that the real CRD
would refuse is refused here too. Fields that are left out are pruned.
"""

from collections.abc import Sequence
from importlib.resources import files

import yaml

from flagger.kube.objects import Object


def manifests() -> Sequence[Object]:
    """All CRDs, by file name."""
    texts = sorted((file for file in files(__name__).iterdir() if file.name.endswith(".yaml")), key=str)
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in texts]
