"""A small real network for tests: mobilenet-0.25-128, its head fitted on phantom films.

It tells phantoms with a shadow from those without, nothing else. Needs torch; the tests that
only need a bundle take the fixture `tiny_bundle`.
"""

import hashlib
from functools import cache

import numpy as np

from clinicedge.convert.films import phantom_pixels
from clinicedge.convert.source import Source
from clinicedge.models import zoo
from clinicedge.runtime import phantom
from clinicedge.runtime.images import resize, scale

NAME = "mobilenet-0.25-128"
_FILMS = 64
_STEPS = 200


@cache
def tiny_source() -> Source:
    """Seeded weights, batch normalization set and the head fitted on 64 phantoms."""
    import torch
    from torch import nn

    spec = zoo.spec(NAME)
    seeds = range(9_000_000, 9_000_000 + _FILMS)
    pixels = [resize(phantom_pixels(phantom.sample(s), spec.input), spec.input) for s in seeds]
    films = torch.from_numpy(np.concatenate([scale(p, spec.input) for p in pixels]))
    ill = torch.tensor([int(phantom.sample(s).opacity > 0) for s in seeds])
    torch.manual_seed(1)
    module = zoo.build(NAME)
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        module.train()
        for norm in norms:
            norm.momentum = 0.5
        for _ in range(8):
            module(films)
        module.eval()
        pooled = module.backbone(films).mean((2, 3))
    head = module.classifier
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02, weight_decay=1e-3)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(pooled), ill).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    digest = hashlib.sha256()
    for key, value in module.state_dict().items():
        digest.update(key.encode("utf-8") + value.numpy().tobytes())
    return Source(
        spec=spec,
        module=module,
        weights_file="none: fitted on phantom films by the tests",
        weights_sha256=digest.hexdigest(),
        weights_date="2026-01-01",
        training_data="64 phantom films",
    )
