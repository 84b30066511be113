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

## Intended use

For researchers and investigators who have ten or so images of each model in question: enroll them,
then ask which of the models, if any, made another image, or whether two images have one maker. An
answer is a lead, to be weighed together with other evidence.

Not for deciding about people without an expert, not for moderation without a person, and not for
telling generated images from photographs: "unknown" says only that no enrolled model was
recognised.

## Data

No image of a real generator. {photographs}

## Figures

On {held_out} held-out synthetic models: identification {top1:.3f} with ten images enrolled,
ROC-AUC {roc_auc:.4f} and equal error rate {eer:.4f} over pairs. These are figures on *synthetic*
models, those that the scores were calibrated on; real ones differ.

<!-- table: real -->

Not measured on real generators: `python -m benchmarks.quality --weights THIS_FOLDER --data FOLDER`
does, with images of generators that took no part.

<!-- end -->

## Failures

<!-- table: failing -->

Not measured: `python -m benchmarks.failures --weights THIS_FOLDER --data FOLDER --out DIR` shows
which models are missed or taken for each other.

<!-- end -->

## Limits

A match is evidence, not proof: fingerprints can be removed and forged, and who has these weights
can do either without a visible change. "Unknown" does not mean that an image is a photograph.
Compression, resizing and blur weaken a fingerprint; images that are small or nearly flat carry
little of it. Models that share their last layers, such as fine-tunes of one autoencoder, can be
close to indistinguishable. The false-positive rate of the decisions is calibrated on synthetic
models and can differ on real ones.
"""

_PHOTOGRAPHS = """\
Photographs serve twice: the synthetic models render
them, and what they vary in is divided out. The weights hold second-order statistics of them, and no
picture.

<!-- table: photographs -->

Whose they are and under which licences, only who trained these weights can say.

<!-- end -->"""


def model_card(extractor: FingerprintExtractor, figures: Mapping[str, float]) -> str:
    """Markdown that says what the weights are, what they are for, their data, and their limits.

    What was measured on real generators belongs between its marks `<!-- table: NAME -->` and
    `<!-- end -->`; until then the card says that nothing was.

    Args:
        extractor: Freshly trained.
        figures: ``top1``, ``roc_auc`` and ``eer`` on held-out models.
    """
    trained = extractor.config.trained
    pictures = f"{trained['pictures']} procedural pictures"
    content = f"{trained['content_pictures']} such pictures" if trained["content_pictures"] else ""
    photographs = "No photograph either: all pictures are procedural."
    if trained["photos"]:
        pictures += " and photographs"
        content, photographs = "the photographs", _PHOTOGRAPHS
    if trained["recipe"] == "closed-form" and content:
        pictures += f"; the content of {content} is divided out"
    if trained["recipe"] == "contrastive":
        models = f"{trained['steps'] * trained['models_per_step']} fresh synthetic models"
    else:
        models = f"{trained['models']} synthetic models"
    return _TEMPLATE.format(
        backbone=extractor.config.backbone,
        dim=extractor.dim,
        digest=extractor.digest,
        models=models,
        photographs=photographs,
        pictures=pictures,
        source=extractor.calibration.source,
        held_out=trained["held_out_models"] // 2,
        recipe=trained["recipe"],
        space=trained["space"],
        seed=trained["seed"],
        version=trained["version"],
        **figures,
    )
