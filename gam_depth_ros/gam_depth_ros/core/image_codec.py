"""Image encodings to arrays and back: the one door to the codecs.

Colour becomes H×W×3 uint8 RGB, depth H×W float32 metres with NaN for unknown. Step, byte order and
size are honoured and checked; whatever cannot be decoded raises ImageError with one line.
"""

from gam_depth_ros.core.color_codec import (
    COLOR_ENCODINGS,
    MONO_ENCODINGS,
    decode_color,
    decode_mono,
    encode_confidence,
)
from gam_depth_ros.core.compressed_codec import (
    decode_compressed_color,
    decode_compressed_depth,
    decode_picture,
)
from gam_depth_ros.core.depth_codec import (
    DEPTH_ENCODINGS,
    OUTPUT_DEPTH_ENCODINGS,
    decode_depth,
    encode_depth,
)
from gam_depth_ros.core.image_layout import MAX_PIXELS, MAX_SIDE_PX, ImageError

__all__ = [
    "COLOR_ENCODINGS",
    "DEPTH_ENCODINGS",
    "MAX_PIXELS",
    "MAX_SIDE_PX",
    "MONO_ENCODINGS",
    "OUTPUT_DEPTH_ENCODINGS",
    "ImageError",
    "decode_color",
    "decode_compressed_color",
    "decode_compressed_depth",
    "decode_depth",
    "decode_mono",
    "decode_picture",
    "encode_confidence",
    "encode_depth",
]
