"""transformers' SAM 2, imported late; a torchvision that is broken does not stop it."""

import importlib
import sys
from types import ModuleType
from typing import Any

from ...runtime.errors import ModelError
from .sizes import LEVELS, Sam2Size

# It imports torchvision where there is one, for images that we never give it, and torchao, for
# quantization of its own, which takes longer than all the rest.
_VISION = "torchvision"
_TORCHAO = "torchao"
_PLACE = "transformers.models.sam2"


def sam2(size: Sam2Size) -> Any:
    """transformers' network with fresh weights.

    Raises:
        ModelError: transformers is not installed.
    """
    configuration, modeling = modules()
    trunk = configuration.Sam2HieraDetConfig(
        hidden_size=size.widths[0],
        image_size=[size.side, size.side],
        window_positional_embedding_background_size=[size.background, size.background],
        blocks_per_stage=list(size.blocks),
        embed_dim_per_stage=list(size.widths),
        num_attention_heads_per_stage=list(size.heads),
        window_size_per_stage=list(size.windows),
        global_attention_blocks=list(size.global_blocks),
    )
    vision = configuration.Sam2VisionConfig(
        backbone_config=trunk,
        backbone_channel_list=list(reversed(size.widths)),
        backbone_feature_sizes=[[size.map_side(i)] * 2 for i in range(LEVELS)],
        fpn_hidden_size=size.hidden,
    )
    prompt = configuration.Sam2PromptEncoderConfig(hidden_size=size.hidden, image_size=size.side)
    decoder = configuration.Sam2MaskDecoderConfig(
        hidden_size=size.hidden,
        mlp_dim=size.mlp,
        iou_head_hidden_dim=size.quality,
        dynamic_multimask_via_stability=False,
    )
    config = configuration.Sam2Config(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
    )
    # Plain products and softmax: torch's fused kernel has no counterpart in an export.
    for part in (trunk, vision, prompt, decoder, config):
        part._attn_implementation = "eager"
    return modeling.Sam2Model(config)


def modules() -> tuple[ModuleType, ModuleType]:
    """transformers' records and networks of SAM 2.

    Raises:
        ModelError: transformers is not installed.
    """
    return _module(f"{_PLACE}.configuration_sam2"), _module(f"{_PLACE}.modeling_sam2")


def _module(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    hidden = [other for other in (_VISION, _TORCHAO) if other not in sys.modules]
    if _VISION in hidden and _imports(_VISION):
        hidden.remove(_VISION)
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        return _required(name)
    finally:
        for other in hidden:
            del sys.modules[other]


def _required(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as err:
        raise ModelError(
            f"{name} cannot be imported ({err}); SAM 2 is built with transformers. "
            "pip install 'clinicedge[train]'."
        ) from err


def _imports(name: str) -> bool:
    """Whether an import works; torchvision's fails beside a torch of another build."""
    try:
        importlib.import_module(name)
    except (ImportError, RuntimeError, OSError):
        return False
    return True
