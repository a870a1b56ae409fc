"""Small pictures are PNG that others read, in the colours that were asked for."""

import io

import numpy as np
from PIL import Image

from casas_ray.report.palette import distinct, hours, rgb
from casas_ray.report.png import CLEAR, as_address, dots, png


def test_others_read_the_colours_and_what_is_clear():
    index = np.array([[0, 1, CLEAR], [2, 0, 1]], dtype=np.uint8)
    colours = ["#102030", "#ff0000", "#00ff7f"]
    seen = np.asarray(Image.open(io.BytesIO(png(index, colours))).convert("RGBA"))
    assert seen.shape == (2, 3, 4)
    assert seen[0, 0].tolist() == [0x10, 0x20, 0x30, 255]
    assert seen[1, 0].tolist() == [0, 255, 0x7F, 255]
    assert seen[0, 2, 3] == 0
    assert as_address(b"x") == "data:image/png;base64,eA=="


def test_dots_lie_right_and_up_and_none_leaves_the_picture():
    xy = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
    drawn = dots(xy, np.array([1, 2, 3]), size=101)
    assert drawn[-4, 4] == 1
    assert drawn[4, -5] == 2
    assert drawn[50, 50] == 3
    assert (drawn != CLEAR).sum() == 27


def test_colours_differ():
    assert len(set(distinct(60))) == 60
    assert len(set(hours())) == 24
    assert rgb("#0a10ff") == (10, 16, 255)
