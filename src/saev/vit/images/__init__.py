"""Where pictures come from: folders, lists, Hugging Face data sets."""

from saev.vit.images.base import IMAGE_SOURCES, ImageEntry, ImageSource
from saev.vit.images.decode import BadImage
from saev.vit.images.description import description, from_description
from saev.vit.images.folder import ImageFolder
from saev.vit.images.huggingface import HuggingFaceImages
from saev.vit.images.image_list import ImageList
from saev.vit.images.segmentation import SegmentationFolder

__all__ = [
    "IMAGE_SOURCES",
    "BadImage",
    "HuggingFaceImages",
    "ImageEntry",
    "ImageFolder",
    "ImageList",
    "ImageSource",
    "SegmentationFolder",
    "description",
    "from_description",
]
