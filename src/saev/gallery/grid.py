"""Several pictures as one."""

from collections.abc import Sequence

from PIL import Image


def image_grid(pictures: Sequence[Image.Image], n_columns: int, pad: int = 4) -> Image.Image:
    """Lay pictures out row by row on white, each centred in a cell of the largest width and height.

    Args:
        pictures: at least one, RGB, of any sizes.
        n_columns: columns of the grid; fewer are used if there are fewer pictures.
        pad: pixels between and around the cells.

    >>> image_grid([Image.new("RGB", (8, 6))] * 3, n_columns=2, pad=1).size
    (19, 15)
    """
    assert pictures, "no pictures to lay out"
    assert n_columns >= 1, f"n_columns {n_columns} < 1"
    n_columns = min(n_columns, len(pictures))
    n_rows = -(-len(pictures) // n_columns)
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    size = (n_columns * (width + pad) + pad, n_rows * (height + pad) + pad)
    sheet = Image.new("RGB", size, "white")
    for i, picture in enumerate(pictures):
        row, column = divmod(i, n_columns)
        left = pad + column * (width + pad) + (width - picture.width) // 2
        top = pad + row * (height + pad) + (height - picture.height) // 2
        sheet.paste(picture, (left, top))
    return sheet
