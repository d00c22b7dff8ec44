"""From SAEs and recorded activations to galleries: reads shards and pictures, draws with `viz`, knows no Lightning."""

from saev.rendering.names import Namer
from saev.rendering.options import RenderOptions
from saev.rendering.recorded_pictures import RecordedPictures
from saev.rendering.render import Rendered, Source, render_galleries
from saev.rendering.survey_pass import survey_images

__all__ = ["Namer", "RecordedPictures", "RenderOptions", "Rendered", "Source", "render_galleries", "survey_images"]
