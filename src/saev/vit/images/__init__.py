"""Where pictures come from: folders, lists, Hugging Face data sets, a generator."""

from saev.vit.images.base import IMAGE_SOURCES as IMAGE_SOURCES
from saev.vit.images.base import ImageEntry as ImageEntry
from saev.vit.images.base import ImageSource as ImageSource
from saev.vit.images.decode import BadImage as BadImage
from saev.vit.images.demo_scenes import DemoScenes as DemoScenes
from saev.vit.images.description import class_with_metadata as class_with_metadata
from saev.vit.images.description import description as description
from saev.vit.images.description import from_description as from_description
from saev.vit.images.folder import ImageFolder as ImageFolder
from saev.vit.images.huggingface import HuggingFaceImages as HuggingFaceImages
from saev.vit.images.image_list import ImageList as ImageList
from saev.vit.images.segmentation import SegmentationFolder as SegmentationFolder
