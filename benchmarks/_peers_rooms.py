"""The peers by name."""

from _peers_common import Peer
from _peers_fastsam import FAST_SAM_S, FAST_SAM_X
from _peers_mobilesam import MOBILE_SAM
from _peers_nnunet import NNU_NET

PEERS: dict[str, Peer] = {
    "mobile-sam": MOBILE_SAM,
    "fast-sam-s": FAST_SAM_S,
    "fast-sam-x": FAST_SAM_X,
    "nnu-net": NNU_NET,
}
# The large FastSAM takes seconds a film and is asked for by name.
USUAL = ("mobile-sam", "fast-sam-s", "nnu-net")
