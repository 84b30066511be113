"""The model card that travels with the weights."""

from __future__ import annotations

from collections.abc import Mapping

from modelprint.extractor import FingerprintExtractor

_TEMPLATE = """\
---
library_name: modelprint
license: apache-2.0
tags: [model-attribution, image-forensics]
---
# modelprint weights: {recipe}

Fingerprints of the generative models behind images, for models that took no part in training.

```python
extractor = modelprint.FingerprintExtractor.from_pretrained("this folder or repository")
```

| | |
|---|---|
| recipe | {recipe}, backbone `{backbone}`, {dim} dimensions |
| trained on | {models} of design space `{space}`, seed {seed}, rendering {pictures} |
| library | modelprint {version} |
| calibrated on | {source} |
| digest | `{digest}` |

On {held_out} held-out synthetic models: identification {top1:.3f} with ten images enrolled,
ROC-AUC {roc_auc:.4f} and equal error rate {eer:.4f} over pairs. These are figures on *synthetic*
models, those that the scores were calibrated on; real ones differ.

## Limits

A match is evidence, not proof: fingerprints can be removed and forged. "Unknown" does not mean
that an image is a photograph. Compression, resizing and blur weaken a fingerprint; images that are
small or nearly flat carry little of it. The false-positive rate of the decisions is calibrated on
synthetic models and can differ on real ones.
"""


def model_card(extractor: FingerprintExtractor, figures: Mapping[str, float]) -> str:
    """Markdown that says what the weights are, what they were trained on, and their limits.

    Args:
        extractor: Freshly trained.
        figures: ``top1``, ``roc_auc`` and ``eer`` on held-out models.
    """
    trained = extractor.config.trained
    pictures = f"{trained['pictures']} procedural pictures"
    if trained["photos"]:
        pictures += " and photographs, whose own variation is divided out as well"
    if trained["recipe"] == "contrastive":
        models = f"{trained['steps'] * trained['models_per_step']} fresh synthetic models"
    else:
        models = f"{trained['models']} synthetic models"
    return _TEMPLATE.format(
        backbone=extractor.config.backbone,
        dim=extractor.dim,
        digest=extractor.digest,
        models=models,
        pictures=pictures,
        source=extractor.calibration.source,
        held_out=trained["held_out_models"] // 2,
        recipe=trained["recipe"],
        space=trained["space"],
        seed=trained["seed"],
        version=trained["version"],
        **figures,
    )
