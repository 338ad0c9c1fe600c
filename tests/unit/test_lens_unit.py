"""Words that are left out of a prompt, and heat maps, without a server."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from midrun.nodes.engine.heat import NoMap, heat_of
from midrun.state.checks import Progress
from midrun.state.lens import Change, Heat, Lens, sentence
from midrun.state.pictures.heat import LEGEND, SMALLEST, overlaid
from midrun.state.workflow.fresh import MARK, run_again
from midrun.state.workflow.words import without

LEFT_OUT = [  # text, word, what is left
    ("a red circle", "red", "a circle"),
    ("red circle", "red", "circle"),
    ("a circle, red", "red", "a circle"),
    ("a, red, b", "red", "a, b"),
    ("a,red,b", "red", "a,b"),
    ("a red, b", "red", "a, b"),
    ("a, (red:1.2), b", "red", "a, b"),
    ("a, ((red)), b", "red", "a, b"),
    ("a [red] b", "red", "a b"),
    ("(red circle:1.3), b", "red", "(circle:1.3), b"),
    ("a (big red:1.1), c", "red", "a (big:1.1), c"),
    ("a, (red, blue:1.2)", "red", "a, (blue:1.2)"),
    ("a, (blue, red:1.2)", "red", "a, (blue:1.2)"),
    ("red, a Red b, (RED:0.5)", "red", "a b"),
    ("red red red", "red", ""),
    ("(red:1.2)", "red", ""),
    ("a blue  sky, x", "Blue sky", "a, x"),
    ("line of red\nnext", "red", "line of\nnext"),
    ("a,  b ,,  red,  c", "red", "a,  b ,,  c"),
    ("dark-red wall, red.", "red", "dark-red wall."),
    ("dog's dog", "dog", "dog's"),
    ("the (cat) of (a man:1.1)", "a man", "the (cat) of"),
    ("c++ code", "c++", "code"),
    ("<lora:red:1> red, embedding:red", "red", "<lora:red:1>, embedding:red"),
]


@pytest.mark.parametrize(("text", "word", "left"), LEFT_OUT)
def test_a_word_is_left_out_with_its_weight_and_its_comma_and_nothing_else(
    text: str, word: str, left: str
) -> None:
    assert without(text, word) == left


@pytest.mark.parametrize("word", ["circ", "reddish", "redder", "", "  ", "a circle", "re.", "green"])
def test_what_is_not_there_as_a_whole_word_is_not_left_out(word: str) -> None:
    assert without("a red circle", word) is None


def test_heat_is_the_sum_of_all_channels_of_its_maximum() -> None:
    apart = torch.zeros(1, 4, 3, 5)
    apart[0, :, 1, 2] = 2.0
    apart[0, 0, 2, 4] = 4.0
    heat = heat_of(apart)
    assert (heat.width, heat.height, heat.maximum) == (5, 3, 8.0)
    assert heat.mean == pytest.approx(12.0 / 15)
    assert list(heat.values).count(0) == 13
    assert (heat.values[1 * 5 + 2], heat.values[2 * 5 + 4]) == (255, 128)


def test_of_a_video_the_middle_frame_is_shown_and_of_a_batch_a_grid() -> None:
    video = torch.zeros(1, 2, 5, 2, 2)
    video[:, :, 2, 0, 1] = 1.0
    video[:, :, 4] = 9.0
    assert heat_of(video) == Heat(2, 2, bytes([0, 255, 0, 0]), 2.0, 0.5)
    batch = torch.zeros(3, 1, 1, 1)
    batch[2] = 1.0
    assert heat_of(batch).values == bytes([0, 0, 255, 0])


def test_what_makes_no_map_is_said() -> None:
    assert heat_of(torch.zeros(1, 1, 2, 2)) == Heat(2, 2, bytes(4), 0.0, 0.0)
    for apart in (torch.full((1, 1, 2, 2), float("nan")), torch.zeros(7), torch.zeros(1, 0, 2, 2)):
        with pytest.raises(NoMap):
            heat_of(apart)


def picture(colour: tuple[int, int, int], size: tuple[int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "PNG")
    return content.getvalue()


def test_the_heat_is_laid_over_the_picture_where_it_is_hot() -> None:
    heat = Heat(2, 1, bytes([0, 255]), 3.25, 1.0)
    with Image.open(io.BytesIO(overlaid(heat, picture((0, 200, 0), (300, 150))))) as made:
        assert made.format == "WEBP" and made.size == (300, 150 + LEGEND)
        cold, hot = (made.convert("RGB").getpixel((x, 75)) for x in (5, 295))
    assert cold[1] > cold[0] + 30 and cold[1] > cold[2] + 30  # the picture, faded
    assert min(hot[:2]) > 180  # the hottest colour
    with Image.open(io.BytesIO(overlaid(heat, None))) as alone:
        assert alone.size == (SMALLEST, SMALLEST // 2 + LEGEND)
    assert overlaid(heat, b"no picture") == overlaid(heat, None)


def test_a_lens_says_what_it_found() -> None:
    change = Change("6", "text", "red")
    lens = Lens("job/1", "p", "2026-01-01T00:00:00.000Z", change, "3", 4, 2.5)
    assert lens.is_open and lens.to_json()["picture"] is None and lens.to_json()["state"] == "queued"
    done = Lens(*_fields(lens), Progress.DONE, Heat(1, 1, b"\xff", 1.5, 0.5))
    told = done.to_json()
    assert told["picture"] == "/midrun/jobs/job%2F1/lens/picture?v=p"
    assert (told["maximum"], told["mean"], told["without"]) == (1.5, 0.5, "red") and "value" not in told
    assert sentence(done).startswith("Without “red” in text of node 6, the model's answer at step 4 differs")
    assert sentence(done).endswith("by 1.5 at most and 0.5 on average.")
    off = Lens("j", "p", "", Change("7", "strength", value=0.0), "3", 4, 2.5, Progress.FAILED, None, "why.")
    assert off.to_json()["value"] == 0.0 and sentence(off) == "The model could not be asked: why."


def _fields(lens: Lens) -> tuple[object, ...]:
    return lens.job_id, lens.prompt_id, lens.at, lens.change, lens.in_node, lens.step, lens.sigma


def test_a_node_that_is_to_run_again_is_another_to_the_cache_and_the_graph_given_stays() -> None:
    prompt = {"3": {"class_type": "KSampler", "inputs": {"model": ["1", 0]}}}
    assert run_again(prompt, "p", "3")["3"]["inputs"] == {"model": ["1", 0], MARK: "p"}
    assert MARK not in prompt["3"]["inputs"]
