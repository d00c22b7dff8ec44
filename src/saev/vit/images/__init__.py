"""Where pictures come from: folders, lists, Hugging Face data sets."""

from saev.vit.images.base import ImageEntry, ImageSource
from saev.vit.images.decode import BadImage
from saev.vit.images.description import from_description
from saev.vit.images.folder import ImageFolder
from saev.vit.images.huggingface import HuggingFaceImages
from saev.vit.images.image_list import ImageList
from saev.vit.images.segmentation import SegmentationFolder

__all__ = [
    "BadImage",
    "HuggingFaceImages",
    "ImageEntry",
    "ImageFolder",
    "ImageList",
    "ImageSource",
    "SegmentationFolder",
    "from_description",
]
