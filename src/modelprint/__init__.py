"""modelprint: which generative model made this image?"""

__version__ = "0.1.0"
