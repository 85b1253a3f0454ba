"""Where on a film the evidence for a class lies: maps from exported artifacts, in numpy alone.

    from clinicedge.runtime.explanations import explain, offers
    told = explain(predictor, film, "grad-cam", "PNEUMONIA")

A file a method; each has the plain function on arrays, and `METHOD` for `METHODS`.
"""

from .making import explain
from .records import MapRequest, Method, Offer, Target
from .registry import METHODS, bundle_offers, check_request, offers, usual_method

__all__ = [
    "METHODS",
    "MapRequest",
    "Method",
    "Offer",
    "Target",
    "bundle_offers",
    "check_request",
    "explain",
    "offers",
    "usual_method",
]
