"""Pictures of figures, for reports. Needs matplotlib: `pip install 'modelprint[plots]'`.

Every function returns a matplotlib figure and touches nothing else: no window opens, no global
setting changes, and colours and fonts are those of the caller's matplotlib style. Save one with
`figure.savefig("det.png")`. A picture goes onto axes of your own where you pass `ax`.
"""

from modelprint.plots.det import det_plot
from modelprint.plots.evidence import evidence_plot
from modelprint.plots.reliability import reliability_plot

__all__ = ["det_plot", "evidence_plot", "reliability_plot"]
